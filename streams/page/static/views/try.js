// Photos that somebody tries: dropped, chosen, pasted, or by their address; tags come as soon as they are committed.

import { OURS, ask, send } from '../api.js'
import { fill, h } from '../dom.js'
import { bars } from '../parts/bars.js'
import { explain } from '../parts/notes.js'
import { link, state } from '../router.js'
import { number, t } from '../texts.js'

const AT_ONCE = 3
const SHOWN = 12

export function view(root, { signal }) {
  const results = h('div', { class: 'results', 'aria-live': 'polite' })
  const queue = []
  let busy = 0
  const next = async () => {
    if (busy >= AT_ONCE || !queue.length || signal.aborted) return
    busy += 1
    await queue.shift()().catch(() => {})
    busy -= 1
    next()
  }
  const take = (name, preview, publish) => {
    const card = new Card(name, preview)
    results.prepend(card.node)
    queue.push(() => card.run(publish))
    next()
  }
  const threshold = h('input', { type: 'range', min: 0, max: 1, step: 0.01, value: state.session.threshold ?? 0.4, id: 'limit' })
  const told = h('output', { htmlFor: 'limit' }, threshold.value)
  threshold.addEventListener('input', () => { told.textContent = threshold.value })
  const params = (id) => ({ public_id: id, threshold: threshold.value, tenant: state.tenant })
  const files = (list) => [...list].filter((file) => file.type.startsWith('image/') || !file.type).forEach((file) =>
    take(file.name, URL.createObjectURL(file), (id) =>
      ask('/page/uploads', params(id), { method: 'POST', body: file, signal, headers: { 'content-type': 'application/octet-stream', ...OURS } })))
  const address = (url) => take(url, null, (id) => send('/page/uploads', { url }, params(id), { signal }))
  root.append(h('h1', {}, t('title.try')), h('p', { class: 'lead' }, t('try.lead')))
  if (!state.session.writes) {
    root.append(h('p', { class: 'empty' }, t('try.read')), h('p', {}, h('a', { href: link('/library') }, t('try.library'))))
    return
  }
  root.append(dropping(files, address, signal), h('p', { class: 'slider' }, h('label', { htmlFor: 'limit' }, t('threshold')), threshold, told), results)
}

function dropping(files, address, signal) {
  const chosen = h('input', { type: 'file', accept: 'image/*', multiple: true, id: 'photos', onchange: () => { files(chosen.files); chosen.value = '' } })
  const url = h('input', { type: 'url', id: 'url', placeholder: 'https://', required: true, 'aria-label': t('try.url') })
  const box = h('div', { class: 'drop' }, h('p', {}, h('label', { class: 'button', htmlFor: 'photos' }, t('try.choose')), chosen, ' ', t('try.drop')),
    h('form', { onsubmit: (event) => { event.preventDefault(); address(url.value); url.value = '' } }, url, h('button', {}, t('try.tag'))))
  const over = (event) => { event.preventDefault(); box.classList.add('over') }
  box.addEventListener('dragover', over)
  box.addEventListener('dragleave', () => box.classList.remove('over'))
  box.addEventListener('drop', (event) => {
    event.preventDefault()
    box.classList.remove('over')
    files(event.dataTransfer.files)
  })
  addEventListener('paste', (event) => files(event.clipboardData.files), { signal })
  return box
}

class Card {
  constructor(name, preview) {
    this.id = publicId(name)
    this.body = h('div', { class: 'card-body' }, h('p', { class: 'loading' }, t('try.waits')))
    this.node = h('article', { class: 'card' }, preview && shown(preview), h('div', {}, h('h2', {}, name), this.body))
  }

  async run(publish) {
    fill(this.body, h('p', { class: 'loading' }, t('try.working')))
    try {
      this.show(await publish(this.id))
    } catch (error) {
      if (error.name !== 'AbortError') fill(this.body, explain(error))
    }
  }

  show(outcome) {
    const { state: what, result, refusal } = outcome
    if (what === 'refused') fill(this.body, h('p', { class: 'problem' }, h('strong', {}, refusal.reason), ' ', refusal.message), h('a', { href: link('/letters', { reason: refusal.reason }) }, t('letters.cure')))
    else if (what === 'waiting') fill(this.body, h('p', {}, t('try.later')), this.open())
    else fill(this.body, ...Object.values(result.info.categorization).map((found) => found.status === 'complete' || found.data.length
      ? bars(found.data.slice(0, SHOWN), lowest(result)) : h('p', { class: 'problem' }, found.error)), this.timings(result), this.open())
  }

  timings({ timings_ms: ms, width, height, format, bytes, tags }) {
    return h('p', { class: 'fine' }, t('try.timings', { total: Math.round(ms.total), decode: Math.round(ms.decode), inference: Math.round(ms.inference) }),
      ' · ', `${number(width)} × ${number(height)} ${format}, ${number(bytes / 1000)} kB`, ' · ', t('try.assigned', { count: tags.length }))
  }

  open() {
    return h('p', {}, h('a', { href: link('/image', { id: this.id }) }, t('open')))
  }
}

// What a browser cannot show, such as HEIC, is tagged all the same.
function shown(preview) {
  const done = () => URL.revokeObjectURL(preview)
  return h('img', { src: preview, alt: '', onload: done, onerror: (event) => { done(); event.target.remove() } })
}

// The lowest confidence that was assigned, less a little: what stands out is what is on the image.
function lowest({ tags, info }) {
  const said = Object.values(info.categorization).flatMap(({ data }) => data).filter(({ tag }) => tags.includes(tag))
  return said.length ? Math.min(...said.map(({ confidence }) => confidence)) - 1e-6 : null
}

function publicId(name) {
  const stem = name.replace(/^.*\//, '').replace(/\.\w{1,5}$/, '').replace(/[\u0000-\u001f\u007f-\u009f]/g, '').trim().slice(0, 80) || 'photo'
  return `${stem}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`
}
