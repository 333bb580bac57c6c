// What went wrong, in words: which value, which rule, what to do. And short notes of what was done.

import { Refusal } from '../api.js'
import { fill, h } from '../dom.js'
import { t } from '../texts.js'

function words(error) {
  if (!(error instanceof Refusal)) return t('error.page')
  if (error.code === 'unreachable') return t('error.unreachable')
  return error.message
}

export function explain(error, again) {
  return h('div', { class: 'problem', role: 'alert' },
    h('p', {}, h('strong', {}, t('error')), ' ', words(error)),
    again && h('button', { onclick: again }, t('again')))
}

export function empty(key, ...more) {
  return h('div', { class: 'empty' }, h('p', {}, t(key)), more)
}

export function note(what) {
  const element = h('p', { class: what instanceof Error ? 'note bad' : 'note' }, what instanceof Error ? words(what) : what)
  const notes = document.getElementById('notes')
  fill(notes, element)
  setTimeout(() => element.remove(), 8000)
}

export function freshness(answer) {
  if (answer.complete) return null
  return h('p', { class: 'stale' }, t('incomplete'))
}
