// One tag: how it went, what comes with it, and its images.

import { ask } from '../api.js'
import { h } from '../dom.js'
import { chart } from '../parts/chart.js'
import { WINDOWS, choices, table } from '../parts/choices.js'
import { graph } from '../parts/graph.js'
import { empty, freshness } from '../parts/notes.js'
import { grid } from '../parts/photo-grid.js'
import { link, state } from '../router.js'
import { number, percent, t } from '../texts.js'

export async function view(root, { params, signal }) {
  const tag = params.get('tag') ?? ''
  const wanted = params.get('window') ?? '7d'
  const by = params.get('by') ?? 'interest'
  const path = `/trends/tags/${encodeURIComponent(tag)}`
  const { tenant } = state
  root.append(h('h1', {}, tag))
  const [series, related, images, { users }] = await Promise.all([
    ask(path, { window: wanted, tenant }, { signal }), ask(`${path}/related`, { limit: 12, min_both: 2, tenant }, { signal }),
    ask('/images', { tag, limit: 24, tenant }, { signal }),
    ask(`/tags/${encodeURIComponent(tag)}/users`, { by, limit: 10, tenant }, { signal }).catch(none)])
  root.append(freshness(series) ?? '', choices('window', WINDOWS, wanted, (window) => link('/tag', { tag, window, by: params.get('by') })),
    h('p', {}, t('tag.total', { count: series.total, uploaders: series.uploaders }), ' ', h('span', { class: 'fine' }, Object.entries(series.by_add_on).map(([name, count]) => `${name} ${number(count)}`).join(' · '))),
    series.points.length ? chart([{ tag, points: series.points }]) : empty('trends.gone'),
    h('p', { class: 'fine' }, series.first_seen && [t('tag.first'), ' ', h('time-ago', { at: series.first_seen }), ' · ', t('tag.last'), ' ', h('time-ago', { at: series.last_seen })]),
    h('section', {}, h('h2', {}, t('tag.related')), related.related.length ? [graph(tag, related.related), table([t('tag'), t('tag.both'), t('tag.share'), t('tag.lift')],
      related.related.map((row) => [h('a', { href: link('/tag', { tag: row.tag }) }, row.tag), number(row.both), percent(row.confidence), number(row.lift, 1)]))] : empty('tag.alone')),
    h('section', {}, h('h2', {}, t('tag.users')), choices('by', ['interest', 'uploads'], by, (by) => link('/tag', { tag, window: params.get('window'), by })),
      users.length ? table([t('user'), t('grid'), ...by === 'interest' ? [t('trends.score')] : []], users.map((each) =>
        [h('a', { href: link('/users', { user: each.user_id }) }, each.user_id), h('a', { href: link('/library', { tag, user: each.user_id }) }, number(each.images)), ...each.score === null ? [] : [number(each.score, 2)]])) : empty('tag.nobody')),
    h('section', {}, h('h2', {}, t('tag.images')), grid(images.images), h('p', {}, h('a', { href: link('/library', { tag }) }, t('found', { count: images.total })))))
}

// Of a tag that no image has any more.
function none(error) {
  if (error.status !== 404) throw error
  return { users: [] }
}
