// The settings in force: to read; they are said by variables and flags.

import { ask } from '../api.js'
import { fill, h } from '../dom.js'
import { wide } from '../parts/choices.js'
import { t } from '../texts.js'

export async function view(root, { signal }) {
  const { settings } = await ask('/page/settings', {}, { signal })
  const body = h('tbody')
  const show = (part) => fill(body, settings.filter(({ variable, description }) => `${variable} ${description}`.toLowerCase().includes(part.toLowerCase())).map((each) =>
    h('tr', {}, h('td', {}, h('code', {}, each.variable), h('div', { class: 'fine' }, each.description)), h('td', {}, each.said ? h('strong', {}, each.value || '–') : each.value || '–'))))
  show('')
  root.append(h('h1', {}, t('title.settings')), h('p', { class: 'lead' }, t('settings.lead')), h('input', { type: 'search', placeholder: t('settings.find'), 'aria-label': t('settings.find'), oninput: (event) => show(event.target.value) }),
    wide(t('title.settings'), h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('settings.name')), h('th', { scope: 'col' }, t('settings.value')))), body)))
}
