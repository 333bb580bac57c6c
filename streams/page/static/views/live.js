// What is committed, as it comes. What comes faster than one can look is counted, not kept.

import { query } from '../api.js'
import { fill, h } from '../dom.js'
import { link, state } from '../router.js'
import { number, percent, t } from '../texts.js'

const KEPT = 150
const MARKS = { categorization: '●', 'tag-update': '±', 'dead-letter': '✕' }

export function view(root, { signal }) {
  const list = h('ol', { class: 'stream', reversed: true, 'aria-label': t('title.live') })
  const rate = h('span', { class: 'count' })
  const status = h('span', { role: 'status' }, t('live.connecting'))
  const shown = new Set(Object.keys(MARKS))
  let source
  let seen = []
  let waiting = []
  const pause = h('button', { 'aria-pressed': 'false', onclick: () => (source ? stop(t('live.paused')) : start()) }, t('live.pause'))
  const kinds = Object.keys(MARKS).map((kind) => h('label', {}, h('input', { type: 'checkbox', checked: true,
    onchange: (event) => (event.target.checked ? shown.add(kind) : shown.delete(kind)) }), ' ', t(`live.${kind}`)))
  root.append(h('h1', {}, t('title.live')), h('p', { class: 'filter' }, pause, kinds, rate, status), list)

  function stop(word) {
    source?.close()
    source = null
    pause.setAttribute('aria-pressed', 'true')
    fill(pause, t('live.resume'))
    fill(status, word)
  }

  function start() {
    pause.setAttribute('aria-pressed', 'false')
    fill(pause, t('live.pause'))
    source = new EventSource(`/page/live${query({ tenant: state.tenant })}`)
    source.onopen = () => fill(status, t('live.waiting'))
    source.onerror = () => fill(status, t('live.lost'))
    source.onmessage = ({ data }) => {
      const { events, skipped } = JSON.parse(data)
      const now = Date.now()
      seen = [...seen.filter(([at]) => now - at < 5000), [now, events.length + skipped]]
      rate.textContent = t('live.rate', { rate: number(seen.reduce((sum, [, count]) => sum + count, 0) / 5, 1), skipped })
      const wanted = events.filter(({ kind }) => shown.has(kind)).slice(-KEPT)
      if (wanted.length) fill(status)
      if (!waiting.length) requestAnimationFrame(paint)
      waiting = [...waiting, ...wanted].slice(-KEPT)
    }
  }

  function paint() {
    const rows = waiting.reverse().map(row)
    waiting = []
    list.prepend(...rows)
    while (list.children.length > KEPT) list.lastElementChild.remove()
  }

  signal.addEventListener('abort', () => source?.close())
  start()
}

function row({ kind, public_id: id, user_id: user, scores, ms, added, removed, reason, message }) {
  const what = {
    categorization: () => [scores.slice(0, 4).map(([tag, confidence]) => `${tag} ${percent(confidence)}`).join(', ') || t('live.nothing'), user && ` · ${user}`],
    'tag-update': () => [(added ?? []).map((tag) => h('ins', {}, `+${tag}`)), (removed ?? []).map((tag) => h('del', {}, `−${tag}`))],
    'dead-letter': () => [h('strong', {}, reason), ' ', message],
  }[kind]
  return h('li', { class: kind }, h('span', { class: 'mark', title: t(`live.${kind}`) }, MARKS[kind]), h('a', { href: link('/image', { id }) }, id),
    h('span', { class: 'what' }, what()), h('span', { class: 'fine' }, ms !== undefined ? `${number(ms)} ms` : ''))
}
