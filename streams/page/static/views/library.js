// The library: photos by what is on them, newest first, as far down as one scrolls.

import { ask } from '../api.js'
import { fill, h } from '../dom.js'
import { editDialog } from '../parts/edit.js'
import { empty, explain, freshness } from '../parts/notes.js'
import '../parts/photo-grid.js'
import { tagInput } from '../parts/tag-input.js'
import { go, link, state } from '../router.js'
import { t } from '../texts.js'

const FIRST = 80
const PAGE = 200
const MEANINGS = ['tag', 'any', 'none']

export async function view(root, { params, signal }) {
  const asked = {
    tag: params.getAll('tag'), any: params.getAll('any'), none: params.getAll('none'),
    untagged: params.get('untagged') ?? '', user: params.get('user') ?? '', until: params.get('until') ?? '', min_confidence: params.get('sure') ?? '',
  }
  const found = h('p', { class: 'count', 'aria-live': 'polite' }, t('loading'))
  const grid = document.createElement('photo-grid')
  const stale = h('div')
  root.append(h('h1', {}, t('title.library')), filter(asked), stale, h('div', { class: 'bar-line' }, found, chosen(grid)), grid)
  let cursor
  const more = async () => {
    const answer = await ask('/images', question(asked, cursor), { signal })
    cursor = answer.cursor
    fill(found, t('found', { count: answer.total }))
    fill(stale, freshness(answer))
    return { photos: answer.images, total: answer.total, last: !cursor }
  }
  addEventListener('keydown', (event) => {
    if (event.key === 't' && grid.selected.size && !event.target.closest('input, select, dialog')) { event.preventDefault(); change(grid) }
    if (event.key === '/' && !event.target.closest('input, select, dialog')) { event.preventDefault(); root.querySelector('[role=combobox]').focus() }
  }, { signal })
  try {
    await grid.start(more, { selects: state.session.writes, whole: true })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    fill(found)
    grid.replaceWith(explain(error))
    return
  }
  if (!grid.photos.length) grid.replaceWith(nothing(asked))
}

function question(asked, cursor) {
  const { tag, any, none, untagged, user, until, min_confidence } = asked
  const wanted = tag.length + any.length
  return { tag, any: any.join(','), none: none.join(','), untagged, user, until, min_confidence: wanted ? min_confidence : '', limit: cursor ? PAGE : FIRST, cursor, tenant: state.tenant }
}

function nothing(asked) {
  const filtered = asked.tag.length || asked.any.length || asked.none.length || asked.untagged || asked.user || asked.until
  return filtered ? empty('library.none', h('a', { href: link('/library') }, t('library.all')))
    : empty('library.empty', h('a', { href: link('/') }, t('nav.try')))
}

function filter(asked) {
  const change = (next) => {
    const { min_confidence: sure, ...rest } = { ...asked, ...next }
    go('/library', { ...rest, sure })
  }
  const chips = MEANINGS.flatMap((meaning) => asked[meaning].map((tag) => {
    const without = asked[meaning].filter((each) => each !== tag)
    const next = MEANINGS[(MEANINGS.indexOf(meaning) + 1) % MEANINGS.length]
    return h('li', { class: `chip ${meaning}` },
      h('button', { class: 'plain', title: t('filter.turn'), onclick: () => change({ [meaning]: without, [next]: [...asked[next], tag] }) },
        h('span', { class: 'meaning' }, t(`filter.${meaning}`)), ' ', tag),
      h('button', { class: 'plain', 'aria-label': t('drop', { tag }), onclick: () => change({ [meaning]: without }) }, '×'))
  }))
  const user = h('input', { type: 'text', value: asked.user, placeholder: t('filter.user'), 'aria-label': t('filter.user'), maxLength: 255,
    onchange: () => change({ user: user.value.trim() }) })
  const until = h('input', { type: 'date', value: asked.until.slice(0, 10), 'aria-label': t('filter.until'), title: t('filter.until'),
    onchange: () => change({ until: until.value }) })
  const bare = h('label', {}, h('input', { type: 'checkbox', checked: asked.untagged === 'true', onchange: (event) => change({ untagged: event.target.checked ? 'true' : '' }) }), ' ', t('filter.untagged'))
  const sure = asked.tag.length + asked.any.length > 0 && h('label', { class: 'slider' }, t('filter.sure'),
    h('input', { type: 'range', min: 0, max: 0.95, step: 0.05, value: asked.min_confidence || 0, onchange: (event) => change({ min_confidence: Number(event.target.value) || '' }) }))
  return h('div', { class: 'filter', role: 'search' }, tagInput(t('filter.add'), (tag) => change({ tag: [...new Set([...asked.tag, tag])] })),
    chips.length > 0 && h('ul', { class: 'chips' }, chips), bare, user, until, sure, h('a', { href: link('/duplicates') }, t('title.duplicates')))
}

function chosen(grid) {
  const line = h('div', { class: 'chosen-line', 'aria-live': 'polite' })
  grid.addEventListener('selection', () => fill(line, grid.selected.size > 0 && [
    t('chosen', { count: grid.selected.size }), h('button', { onclick: () => change(grid) }, t('edit.tags')),
    h('button', { class: 'plain', onclick: () => grid.clear() }, t('chosen.none'))]))
  return line
}

async function change(grid) {
  if (await editDialog([...grid.selected.keys()])) dispatchEvent(new HashChangeEvent('hashchange'))
}
