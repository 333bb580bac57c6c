// A few ways to look at a view, each with an address of its own.

import { h } from '../dom.js'
import { t } from '../texts.js'

export const WINDOWS = ['1h', '24h', '7d', '30d', 'all']

export function choices(name, options, chosen, to) {
  return h('nav', { class: 'choices', 'aria-label': t(name) }, options.map((option) =>
    h('a', { href: to(option), 'aria-current': option === chosen ? 'true' : null }, t(`${name}.${option}`))))
}

// What may be wider than the screen: it scrolls by itself, by keys as well.
export const wide = (label, ...content) => h('div', { class: 'wide', role: 'region', 'aria-label': label, tabIndex: 0 }, content)

// A table whose first column links to a tag or a user, and whose others are figures.
export function table(heads, rows) {
  return wide(heads[0], h('table', {}, h('thead', {}, h('tr', {}, heads.map((head, index) => h('th', { class: index ? 'number' : '', scope: 'col' }, head)))),
    h('tbody', {}, rows.map((cells) => h('tr', {}, cells.map((cell, index) => h('td', { class: index ? 'number' : '' }, cell)))))))
}
