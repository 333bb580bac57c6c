// Groups of images that look alike.

import { ask } from '../api.js'
import { h } from '../dom.js'
import { empty } from '../parts/notes.js'
import { grid } from '../parts/photo-grid.js'
import { go, state } from '../router.js'
import { number, t } from '../texts.js'

export async function view(root, { params, signal }) {
  const distance = Number(params.get('distance') ?? 3)
  const answer = await ask('/duplicates', { distance, limit: 30, tenant: state.tenant }, { signal })
  root.append(h('h1', {}, t('title.duplicates')), h('p', { class: 'slider' }, h('label', { htmlFor: 'bits' }, t('duplicates.bits')),
    h('input', { type: 'range', id: 'bits', min: 0, max: 3, value: distance, onchange: (event) => go('/duplicates', { distance: event.target.value }) }), h('output', {}, number(distance))),
  h('p', { class: 'count' }, t('duplicates.found', { count: answer.total })))
  if (!answer.groups.length) root.append(empty('duplicates.none'))
  for (const group of answer.groups) {
    root.append(h('section', {}, h('h2', {}, t('found', { count: group.count })), grid(group.images.map((each) => ({ ...each, tags: [] })))))
  }
}
