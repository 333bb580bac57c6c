// Tags with their confidences, as bars; those that would be assigned stand out.

import { fill, h } from '../dom.js'
import { link } from '../router.js'
import { percent, t } from '../texts.js'

class TagBars extends HTMLElement {
  // `scores`: [{tag, confidence}], best first. `threshold`: null where nothing is assigned by one.
  set scores(scores) {
    this.rows = scores.map(({ tag, confidence }) => {
      const bar = h('span', { class: 'bar' })
      bar.style.inlineSize = `${Math.max(confidence * 100, 0.5)}%`
      return { confidence, row: h('li', {}, h('a', { href: link('/tag', { tag }) }, tag),
        h('span', { class: 'track', 'aria-hidden': 'true' }, bar), h('span', { class: 'figure' }, percent(confidence))) }
    })
    fill(this, h('ul', { class: 'bars' }, this.rows.map(({ row }) => row)))
    this.threshold = this.limit ?? null
  }

  set threshold(limit) {
    this.limit = limit
    for (const { confidence, row } of this.rows ?? []) {
      const is = limit !== null && confidence > limit
      row.classList.toggle('assigned', is)
      row.title = is ? t('assigned') : ''
    }
  }

  get assigned() {
    return (this.rows ?? []).filter(({ confidence }) => this.limit !== null && confidence > this.limit).length
  }
}

customElements.define('tag-bars', TagBars)

export function bars(scores, threshold = null) {
  const element = document.createElement('tag-bars')
  element.limit = threshold
  element.scores = scores
  return element
}
