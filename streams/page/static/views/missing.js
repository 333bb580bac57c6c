// An address that leads nowhere.

import { h } from '../dom.js'
import { link } from '../router.js'
import { t } from '../texts.js'

export function view(root) {
  root.append(h('h1', {}, t('title.missing')), h('p', {}, h('a', { href: link('/library') }, t('missing.back'))))
}
