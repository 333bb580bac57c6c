// Signing in with a token: it is sent once, and kept where no script can read it.

import { OURS, ask } from '../api.js'
import { fill, h } from '../dom.js'
import { explain } from '../parts/notes.js'
import { t } from '../texts.js'

export function view(root) {
  const token = h('input', { type: 'password', name: 'token', autocomplete: 'current-password', required: true, id: 'token' })
  const fault = h('div')
  const signIn = async (event) => {
    event.preventDefault()
    try {
      await ask('/page/session', {}, { method: 'POST', headers: { ...OURS, authorization: `Bearer ${token.value.trim()}` } })
      dispatchEvent(new Event('tagstream:signed'))
    } catch (error) {
      fill(fault, explain(error))
      token.select()
    }
  }
  root.append(h('h1', {}, t('title.sign')), h('p', {}, t('sign.why')),
    h('form', { class: 'sign', onsubmit: signIn }, h('label', { htmlFor: 'token' }, t('sign.token')), token,
      h('button', {}, t('sign.in'))), fault)
}
