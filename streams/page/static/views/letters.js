// Dead letters: by reason with the cure, what each was, and publishing them again.

import { ask, send } from '../api.js'
import { fill, h } from '../dom.js'
import { empty, explain, note } from '../parts/notes.js'
import { link, state } from '../router.js'
import { number, t } from '../texts.js'

export async function view(root, { params, signal }) {
  const reason = params.get('reason') ?? ''
  const answer = await ask('/page/dead-letters', { reason, tenant: state.tenant }, { signal })
  root.append(h('h1', {}, t('title.letters')))
  if (!answer.reasons.length) return root.append(empty('letters.none'))
  root.append(h('p', { class: 'count' }, t('letters.looked', { count: answer.looked_at })), h('div', { class: 'columns' }, answer.reasons.map((each) => h('section', { class: 'card' },
    h('h2', {}, h('a', { href: link('/letters', { reason: each.reason === reason ? '' : each.reason }) }, each.reason), ` · ${number(each.count)}`),
    h('p', {}, each.meaning), h('p', { class: 'fine' }, h('strong', {}, t('letters.cure')), ' ', each.cure)))))
  root.append(h('h2', {}, reason ? t('letters.of', { reason }) : t('letters.newest')), list(answer.letters))
}

function list(letters) {
  const chosen = new Map()
  const bar = h('p', { class: 'bar-line', 'aria-live': 'polite' })
  const tell = () => fill(bar, chosen.size > 0 && [t('chosen', { count: chosen.size }), h('button', { onclick: replay }, t('letters.replay'))])
  const replay = async () => {
    try {
      const { sent, foreign } = await send('/page/dead-letters/replay', { places: [...chosen.values()], tenant: state.tenant })
      note(t(foreign ? 'letters.some' : 'letters.sent', { count: sent, foreign }))
      chosen.clear()
      bar.parentElement.querySelectorAll('input:checked').forEach((box) => { box.checked = false })
      tell()
    } catch (error) {
      fill(bar, explain(error))
    }
  }
  const rows = letters.map((letter) => {
    const { partition, offset } = letter
    const name = `${partition}/${offset}`
    return h('li', {}, h('p', {}, state.session.writes && letter.whole && h('input', { type: 'checkbox', 'aria-label': t('select', { name: `${letter.public_id} (${name})` }),
      onchange: (event) => { event.target.checked ? chosen.set(name, [partition, offset]) : chosen.delete(name); tell() } }), ' ',
    h('strong', {}, letter.reason), ' ', h('a', { href: link('/image', { id: letter.public_id }) }, letter.public_id), ' ', h('time-ago', { at: letter.at }), ' ', h('span', { class: 'fine' }, `${letter.stage} · ${name}`)),
    h('p', {}, letter.message), h('details', {}, h('summary', {}, t('letters.event')), h('pre', { tabIndex: 0 }, letter.event)))
  })
  return h('div', {}, bar, h('ol', { class: 'origins' }, rows))
}
