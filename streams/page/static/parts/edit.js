// Giving tags to images, and taking them away: people's word, which no tagger undoes.

import { send } from '../api.js'
import { fill, h } from '../dom.js'
import { state } from '../router.js'
import { t } from '../texts.js'
import { explain, note } from './notes.js'
import { tagInput } from './tag-input.js'

const AT_ONCE = 200

export async function edit(ids, added, removed) {
  let folded = true
  for (let start = 0; start < ids.length; start += AT_ONCE) {
    const done = await send('/page/edits', { public_ids: ids.slice(start, start + AT_ONCE), added, removed, tenant: state.tenant })
    folded = folded && done.folded
  }
  note(t(folded ? 'edit.done' : 'edit.later', { count: ids.length }))
}

// A dialog for what is selected; resolves to whether something was edited.
export function editDialog(ids) {
  return new Promise((resolve) => {
    const added = new Set()
    const removed = new Set()
    const fault = h('div')
    const part = (label, tags) => {
      const chips = h('ul', { class: 'chips' })
      const show = () => fill(chips, [...tags].map((tag) => h('li', {}, tag, h('button', { class: 'plain', 'aria-label': t('drop', { tag }),
        onclick: () => { tags.delete(tag); show() } }, '×'))))
      return h('div', {}, tagInput(label, (tag) => { tags.add(tag); show() }), chips)
    }
    const save = h('button', { onclick: async () => {
      if (!added.size && !removed.size) return dialog.close()
      save.disabled = true
      try {
        await edit(ids, [...added], [...removed])
        dialog.returnValue = 'done'
        dialog.close('done')
      } catch (error) {
        save.disabled = false
        fill(fault, explain(error))
      }
    } }, t('save'))
    const dialog = h('dialog', { 'aria-label': t('edit.title', { count: ids.length }), onclose: () => { dialog.remove(); resolve(dialog.returnValue === 'done') } },
      h('h2', {}, t('edit.title', { count: ids.length })), part(t('edit.add'), added), part(t('edit.remove'), removed), fault,
      h('p', { class: 'buttons' }, h('button', { class: 'plain', onclick: () => dialog.close() }, t('cancel')), save))
    document.body.append(dialog)
    dialog.showModal()
  })
}
