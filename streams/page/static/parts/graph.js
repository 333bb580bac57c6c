// Tags that come together: the nearer the surer, the thicker the more images. A table beside it says the same.

import { link } from '../router.js'
import { t } from '../texts.js'

const [WIDTH, HEIGHT] = [640, 320]

function svg(name, props, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(props)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

// `related`: as the answer has them, {tag, both, confidence}.
export function graph(tag, related) {
  const most = Math.max(...related.map(({ both }) => both))
  const parts = related.map((each, index) => {
    const angle = (index / related.length) * 2 * Math.PI - Math.PI / 2
    const far = 0.95 - each.confidence * 0.45
    const [x, y] = [WIDTH / 2 + Math.cos(angle) * far * WIDTH * 0.38, HEIGHT / 2 + Math.sin(angle) * far * HEIGHT * 0.44]
    const line = svg('line', { x1: WIDTH / 2, y1: HEIGHT / 2, x2: x, y2: y, 'stroke-width': 1 + (each.both / most) * 7 })
    return [line, svg('a', { href: link('/tag', { tag: each.tag }), tabindex: -1 }, svg('text', { x, y }, short(each.tag)))]
  })
  return svg('svg', { class: 'graph', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': t('tag.related') },
    ...parts.map(([line]) => line), ...parts.map(([, text]) => text), svg('text', { x: WIDTH / 2, y: HEIGHT / 2, class: 'middle' }, short(tag)))
}

const short = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name)
