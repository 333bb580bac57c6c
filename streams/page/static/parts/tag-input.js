// A field for a tag that completes what is typed: an ARIA combobox with a list.

import { ask } from '../api.js'
import { fill, h, onIdle } from '../dom.js'
import { state } from '../router.js'
import { number, t } from '../texts.js'

let made = 0

// `choose(tag)` is called with what was typed or picked.
export function tagInput(label, choose) {
  const id = `tags-${(made += 1)}`
  const list = h('ul', { role: 'listbox', id, hidden: true, 'aria-label': t('tags.known') })
  const input = h('input', { type: 'text', role: 'combobox', autocomplete: 'off', spellcheck: false, placeholder: label,
    'aria-label': label, 'aria-expanded': 'false', 'aria-controls': id, 'aria-autocomplete': 'list', maxLength: 255 })
  let at = -1
  const close = () => {
    list.hidden = true
    at = -1
    input.setAttribute('aria-expanded', 'false')
    input.removeAttribute('aria-activedescendant')
  }
  const pick = (tag) => {
    close()
    input.value = ''
    if (tag.trim()) choose(tag.trim())
  }
  const move = (step) => {
    const options = [...list.children]
    if (!options.length) return
    at = (at + step + options.length) % options.length
    options.forEach((option, index) => option.setAttribute('aria-selected', index === at))
    input.setAttribute('aria-activedescendant', options[at].id)
    options[at].scrollIntoView({ block: 'nearest' })
  }
  const complete = onIdle(async () => {
    const prefix = input.value.trim()
    if (!prefix) return close()
    const { tags } = await ask('/tags', { prefix, limit: 8, tenant: state.tenant }).catch(() => ({ tags: [] }))
    if (input.value.trim() !== prefix) return
    fill(list, tags.map(({ tag, count }, index) => h('li', { role: 'option', id: `${id}-${index}`, 'aria-selected': 'false',
      onmousedown: (event) => { event.preventDefault(); pick(tag) } }, tag, h('small', {}, number(count)))))
    list.hidden = !tags.length
    input.setAttribute('aria-expanded', String(tags.length > 0))
    at = -1
  }, 120)
  input.addEventListener('input', complete)
  input.addEventListener('blur', close)
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') { move(event.key === 'ArrowDown' ? 1 : -1); event.preventDefault() }
    else if (event.key === 'Escape' && !list.hidden) { close(); event.stopPropagation(); event.preventDefault() }
    else if (event.key === 'Enter') { pick(at >= 0 ? list.children[at].firstChild.textContent : input.value); event.preventDefault() }
  })
  return h('span', { class: 'completing' }, input, list)
}
