// Dead letters: by reason with the cure, what each was, and publishing them again.

import { ask, send } from '../api.js'
import { fill, h } from '../dom.js'
import { empty, explain, note } from '../parts/notes.js'
import { link, state } from '../router.js'
import { number, t } from '../texts.js'

const AT_ONCE = 100

export async function view(root, { params, signal }) {
  const reason = params.get('reason') ?? ''
  const answer = await ask('/page/dead-letters', { reason, tenant: state.tenant }, { signal })
  root.append(h('h1', {}, t('title.letters')))
  if (!answer.reasons.length) return root.append(empty('letters.none'))
  root.append(h('p', { class: 'count' }, t('letters.looked', { count: answer.looked_at })), h('div', { class: 'columns' }, answer.reasons.map((each) => h('section', { class: 'card' },
    h('h2', {}, h('a', { href: link('/letters', { reason: each.reason === reason ? '' : each.reason }) }, each.reason), ` · ${number(each.count)}`),
    h('p', {}, each.meaning), h('p', { class: 'fine' }, h('strong', {}, t('letters.cure')), ' ', each.cure)))))
  root.append(h('h2', {}, reason || t('letters.newest')), list(answer.letters))
}

function list(letters) {
  const chosen = new Map()
  const boxes = []
  const all = (checked) => boxes.forEach((box) => { if (box.checked !== checked) box.click() })
  const every = h('input', { type: 'checkbox', onchange: () => all(every.checked) })
  const bar = h('span', { class: 'bar-line', 'aria-live': 'polite' })
  const tell = () => {
    every.checked = chosen.size === boxes.length
    fill(bar, chosen.size > 0 && [t('chosen', { count: chosen.size }), h('button', { onclick: replay }, t('letters.replay'))])
  }
  const replay = async () => {
    const places = [...chosen.values()]
    const done = { count: 0, foreign: 0 }
    try {
      while (places.length) {
        const { sent, foreign } = await send('/page/dead-letters/replay', { places: places.splice(0, AT_ONCE), tenant: state.tenant })
        done.count += sent
        done.foreign += foreign
      }
      note(t(done.foreign ? 'letters.some' : 'letters.sent', done))
      all(false)
    } catch (error) {
      fill(bar, explain(error))
    }
  }
  const rows = letters.map((letter) => {
    const { partition, offset } = letter
    const name = `${partition}/${offset}`
    const box = state.session.writes && letter.whole && h('input', { type: 'checkbox', 'aria-label': t('select', { name: `${letter.public_id} (${name})` }),
      onchange: () => { box.checked ? chosen.set(name, [partition, offset]) : chosen.delete(name); tell() } })
    if (box) boxes.push(box)
    return h('li', {}, h('p', {}, box, ' ',
    h('strong', {}, letter.reason), ' ', h('a', { href: link('/image', { id: letter.public_id }) }, letter.public_id), ' ', h('time-ago', { at: letter.at }), ' ', h('span', { class: 'fine' }, `${letter.stage} · ${name}`)),
    h('p', {}, letter.message), h('details', {}, h('summary', {}, t('letters.event')), h('pre', { tabIndex: 0 }, letter.event)))
  })
  return h('div', {}, boxes.length > 0 && h('div', { class: 'bar-line' }, h('label', {}, every, ' ', t('letters.all')), bar), h('ol', { class: 'origins' }, rows))
}
