// One user: interests, who shares them, and images of others that fit.

import { ask } from '../api.js'
import { h } from '../dom.js'
import { table } from '../parts/choices.js'
import { empty, freshness } from '../parts/notes.js'
import { grid } from '../parts/photo-grid.js'
import { go, link, state } from '../router.js'
import { number, percent, t } from '../texts.js'

export async function view(root, { params, signal }) {
  const user = params.get('user') ?? ''
  const name = h('input', { type: 'text', value: user, placeholder: t('filter.user'), 'aria-label': t('filter.user'), required: true, maxLength: 255 })
  root.append(h('h1', {}, t('title.users')), h('form', { class: 'filter', onsubmit: (event) => { event.preventDefault(); go('/users', { user: name.value.trim() }) } }, name, h('button', {}, t('show'))))
  const { tenant } = state
  if (!user) {
    const { users } = await ask('/users', { limit: 100, tenant }, { signal })
    return root.append(users.length ? table([t('user'), t('grid')], users.map((each) => [h('a', { href: link('/users', { user: each.user_id }) }, each.user_id), number(each.images)])) : empty('users.which'))
  }
  const path = `/users/${encodeURIComponent(user)}`
  const [interests, similar, feed] = await Promise.all([
    ask(`${path}/interests`, { limit: 20, tenant }, { signal }), ask(`${path}/similar`, { limit: 10, tenant }, { signal }), ask(`${path}/feed`, { limit: 24, tenant }, { signal })])
  root.append(freshness(interests) ?? '', h('h2', {}, user), h('p', {}, h('a', { href: link('/library', { user }) }, t('users.photos'))),
    h('div', { class: 'columns' }, h('section', {}, h('h2', {}, t('users.interests')), h('ul', { class: 'bars' }, interests.interests.map(({ tag, share, images }) => {
      const bar = h('span', { class: 'bar' })
      bar.style.inlineSize = `${share * 100}%`
      return h('li', { title: t('found', { count: images }) }, h('a', { href: link('/tag', { tag }) }, tag), h('span', { class: 'track', 'aria-hidden': 'true' }, bar), h('span', { class: 'figure' }, percent(share)))
    }))), h('section', {}, h('h2', {}, t('users.similar')), similar.users.length ? table([t('user'), t('users.score')], similar.users.map((each) =>
      [[h('a', { href: link('/users', { user: each.user_id }) }, each.user_id), h('div', { class: 'fine' }, each.shared_tags.join(', '))], number(each.score, 2)])) : empty('users.alone'))),
    h('section', {}, h('h2', {}, t('users.feed')), feed.images.length ? grid(feed.images) : empty('users.nofeed')))
}
