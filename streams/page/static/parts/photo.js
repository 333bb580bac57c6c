// A picture of an image: the small one, the large one where it is ours, or what stands for it.

import { picture, thumbnail } from '../api.js'
import { h } from '../dom.js'
import { state } from '../router.js'

export function small(id, words = '') {
  if (!state.session.thumbnails) return stand(id, words)
  const image = h('img', { src: thumbnail(id, state.tenant), alt: '', loading: 'lazy', decoding: 'async' })
  image.addEventListener('error', () => image.replaceWith(stand(id, words)), { once: true })
  return image
}

export function large(id, alt) {
  const image = h('img', { class: 'large', src: picture(id, state.tenant), alt })
  image.addEventListener('error', () => {
    image.addEventListener('error', () => image.replaceWith(stand(id, alt)), { once: true })
    image.src = thumbnail(id, state.tenant)
  }, { once: true })
  return image
}

function stand(id, words) {
  return h('span', { class: 'stand', 'aria-hidden': 'true' }, words || id.slice(0, 40))
}
