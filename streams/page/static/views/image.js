// One image: what is on it and who says so, what a threshold would assign, what became of it, what looks like it.

import { ask } from '../api.js'
import { fill, h } from '../dom.js'
import { bars } from '../parts/bars.js'
import { edit } from '../parts/edit.js'
import { empty, explain, freshness } from '../parts/notes.js'
import { large } from '../parts/photo.js'
import { grid } from '../parts/photo-grid.js'
import { tagInput } from '../parts/tag-input.js'
import { Viewer } from '../parts/viewer.js'
import { link, state } from '../router.js'
import { percent, t } from '../texts.js'

// What is asked, its title, the field that tells whether the image can be compared, and what is said where nothing is found.
const ALIKE = [['duplicates', 'image.alike', 'phash', 'image.unlike'], ['similar', 'image.similar', 'embedding', 'image.unlike']]

export async function view(root, { params, signal }) {
  const id = params.get('id') ?? ''
  const path = `/images/${encodeURIComponent(id)}`
  const image = await ask(path, { tenant: state.tenant }, { signal })
  const again = () => dispatchEvent(new HashChangeEvent('hashchange'))
  root.append(h('h1', {}, image.public_id), freshness(image) ?? '', h('div', { class: 'image' },
    h('figure', {}, image.deleted ? empty('image.deleted') : enlarged(image, signal), facts(image)),
    h('div', {}, tags(image, again), scores(image) ?? '', words(image) || '')), history(image))
  if (!image.deleted) root.append(...await Promise.all(ALIKE.map(([kind, title, code, none]) => alike(`${path}/${kind}`, title, (answer) => (answer[code] ? none : 'image.nohash'), signal))))
}

function enlarged(image, signal) {
  const viewer = new Viewer({ photos: [image], total: 1 })
  signal.addEventListener('abort', () => viewer.drop())
  viewer.resume()
  return h('button', { class: 'bare', 'aria-label': t('viewer.open', { name: image.public_id }), onclick: () => viewer.open(0) },
    large(image.public_id, image.tags.map(({ tag }) => tag).join(', ') || image.public_id))
}

function facts(image) {
  const web = /^https?:/i.test(image.url ?? '')
  return h('figcaption', { class: 'fine' }, h('time-ago', { at: image.uploaded_at }), image.user_id && [' · ', t('by'), ' ', h('a', { href: link('/users', { user: image.user_id }) }, image.user_id)],
    image.model && ` · ${image.model.name} ${image.model.version}`, image.rules && ` · ${t('rules')} ${image.rules}`,
    web && [h('br'), h('a', { href: image.url, rel: 'noreferrer noopener', target: '_blank' }, image.url)],
    Object.entries(image.failed).map(([name, why]) => h('p', { class: 'problem' }, name, ': ', why)))
}

function tags(image, again) {
  const fault = h('div')
  const change = (added, removed) => edit([image.public_id], added, removed).then(again, (error) => fill(fault, explain(error)))
  const { writes } = state.session
  const rows = image.tags.map(({ tag, origins }) => h('li', {}, h('a', { href: link('/tag', { tag }) }, h('strong', {}, tag)), ' ',
    h('span', { class: 'fine' }, origins.map(origin).join('; ')),
    writes && h('button', { class: 'plain', 'aria-label': t('take', { tag }), title: t('take', { tag }), onclick: () => change([], [tag]) }, '×')))
  return h('section', { 'aria-label': t('image.tags') }, h('h2', {}, t('image.tags')), rows.length ? h('ul', { class: 'origins' }, rows) : empty('image.untagged'),
    writes && !image.deleted && tagInput(t('edit.add'), (tag) => change([tag], [])), fault,
    image.edits.length > 0 && h('details', {}, h('summary', {}, t('image.edits', { count: image.edits.length })), h('ul', {}, image.edits.map((each) =>
      h('li', {}, t(each.added ? 'edit.said' : 'edit.denied', { tag: each.tag, by: each.by ?? t('somebody') }), ' ', h('time-ago', { at: each.at }))))))
}

function origin({ source, confidence, model, rules, by }) {
  if (source === 'people') return by ? t('origin.person', { by }) : t('origin.people')
  if (source === 'own') return t('origin.own')
  return [source, confidence !== null && percent(confidence), model && `${model.name} ${model.version}`, rules && `${t('rules')} ${rules}`].filter(Boolean).join(', ')
}

function scores(image) {
  const shown = Object.entries(image.scores).map(([name, said]) => [name, bars(said, 0.4)])
  if (!shown.length) return null
  const limit = h('input', { type: 'range', min: 0, max: 1, step: 0.01, value: 0.4, id: 'limit' })
  const told = h('output', { htmlFor: 'limit' })
  const tell = () => {
    for (const [, element] of shown) element.threshold = Number(limit.value)
    told.textContent = t('image.would', { limit: percent(Number(limit.value)), count: shown.reduce((sum, [, element]) => sum + element.assigned, 0) })
  }
  limit.addEventListener('input', tell)
  tell()
  return h('section', { 'aria-label': t('image.scores') }, h('h2', {}, t('image.scores')), h('p', { class: 'slider' }, h('label', { htmlFor: 'limit' }, t('threshold')), limit, told),
    shown.map(([name, element]) => [shown.length > 1 && h('h3', {}, name), element, ruled(image.before_rules[name], image.scores[name])]))
}

// What rules made of what a tagger said: what went, and what came instead.
function ruled(before, after) {
  if (!before) return null
  const names = (scores) => new Map(scores.map(({ tag, confidence }) => [tag, confidence]))
  const [old, now] = [names(before), names(after)]
  const went = before.filter(({ tag }) => !now.has(tag))
  const came = after.filter(({ tag }) => !old.has(tag))
  const moved = after.filter(({ tag, confidence }) => old.has(tag) && old.get(tag) !== confidence)
  return h('p', { class: 'fine' }, t('image.ruled'), ' ', went.map(({ tag, confidence }) => h('del', {}, `−${tag} ${percent(confidence)}`)),
    came.map(({ tag, confidence }) => h('ins', {}, `+${tag} ${percent(confidence)}`)), moved.map(({ tag, confidence }) => `${tag} ${percent(old.get(tag))} → ${percent(confidence)} `))
}

function words(image) {
  const read = Object.values(image.words ?? {}).flat()
  return read.length > 0 && h('section', {}, h('h2', {}, t('image.words')), h('p', {}, read.map(({ word, confidence }) => [h('span', { title: percent(confidence) }, word), ' '])))
}

function history(image) {
  return h('section', {}, h('h2', {}, t('image.history')), image.history.length ? h('ol', { class: 'history' }, [...image.history].reverse().map((change) =>
    h('li', {}, h('time-ago', { at: change.at }), ' ', h('span', { class: 'fine' }, t(`type.${change.cause.type}`), change.by ? ` (${change.by})` : ''), ' ',
      change.added.map((tag) => h('ins', {}, `+${tag}`)), change.removed.map((tag) => h('del', {}, `−${tag}`))))) : empty('image.unchanged'))
}

async function alike(path, title, why, signal) {
  const section = h('section', {}, h('h2', {}, t(title)))
  try {
    const answer = await ask(path, { limit: 12, tenant: state.tenant }, { signal })
    section.append(answer.images.length ? grid(answer.images.map((each) => ({ ...each, tags: [] }))) : empty(why(answer)))
  } catch (error) {
    if (error.name === 'AbortError') throw error
    section.append(explain(error))
  }
  return section
}
