// A grid of photos that holds only what is seen: it stays small however many there are.
// Arrow keys move, Space selects, Shift with arrows selects what is passed, Enter opens, Escape forgets the selection.

import { fill, h } from '../dom.js'
import { link } from '../router.js'
import { t } from '../texts.js'
import { small } from './photo.js'
import { Viewer } from './viewer.js'

const GAP = 8
const AROUND = 2 // rows above and below what is seen
const AHEAD = 3 // screens that are loaded before they are seen

class PhotoGrid extends HTMLElement {
  connectedCallback() {
    this.photos = []
    this.selected = new Map()
    this.current = 0
    this.tiles = new Map()
    this.box = h('div', { class: 'tiles', role: 'list', 'aria-label': t('grid') })
    fill(this, this.box)
    this.paint = this.paint.bind(this)
    this.scrolled = () => { this.pending ??= requestAnimationFrame(() => { this.pending = null; this.paint() }) }
    addEventListener('scroll', this.scrolled, { passive: true })
    this.watching = new ResizeObserver(() => this.measure())
    this.watching.observe(this)
    this.addEventListener('keydown', (event) => this.key(event))
    this.viewer = new Viewer(this)
    this.begin?.()
  }

  disconnectedCallback() {
    removeEventListener('scroll', this.scrolled)
    this.watching.disconnect()
    this.viewer.drop()
  }

  seen(index) {
    this.move(index, true)
  }

  // `more()` gives the next photos, how many there are in all, and whether these are the last.
  // `whole`: a photo that the address names is shown large even where it is not among the first.
  async start(more, { selects = false, whole = false } = {}) {
    Object.assign(this, { more, selects, whole })
    this.measure()
    await this.load()
    this.viewer.resume()
  }

  load() {
    if (this.done || !this.more) return null
    return (this.loading ??= this.fetch().finally(() => { this.loading = null }).then(() => this.paint()))
  }

  async fetch() {
    this.setAttribute('aria-busy', 'true')
    try {
      const { photos, total, last } = await this.more()
      this.photos.push(...photos)
      this.total = total
      this.done = last
    } catch (error) {
      this.done = true
      throw error
    } finally {
      this.removeAttribute('aria-busy')
    }
  }

  measure() {
    const width = this.clientWidth
    if (!width) return
    this.columns = Math.max(Math.floor((width + GAP) / ((width < 500 ? 110 : 172) + GAP)), 1)
    this.side = (width - GAP * (this.columns - 1)) / this.columns
    this.height = Math.round(this.side * 0.8) + 30
    this.tiles.forEach((tile) => tile.remove())
    this.tiles.clear()
    this.paint()
  }

  paint() {
    if (!this.columns || !this.isConnected) return
    const step = this.height + GAP
    const rows = Math.ceil(this.photos.length / this.columns)
    const waiting = this.done ? 0 : AHEAD
    this.box.style.blockSize = `${(rows + waiting) * step}px`
    const top = -this.box.getBoundingClientRect().top
    const first = Math.max(Math.floor(top / step) - AROUND, 0) * this.columns
    const last = Math.min((Math.ceil((top + innerHeight) / step) + AROUND) * this.columns, this.photos.length)
    for (const [index, tile] of this.tiles) {
      if ((index < first || index >= last) && !tile.contains(document.activeElement)) { tile.remove(); this.tiles.delete(index) }
    }
    for (let index = first; index < last; index += 1) {
      if (!this.tiles.has(index)) this.put(index, step)
    }
    if (rows * step - top < innerHeight * (AHEAD + 1)) this.load()
  }

  put(index, step) {
    const photo = this.photos[index]
    const tags = photo.tags.slice(0, 3).map(({ tag }) => tag).join(', ')
    const open = h('a', { href: link('/image', { id: photo.public_id }), tabIndex: index === this.current ? 0 : -1,
      'aria-label': tags ? `${photo.public_id}: ${tags}` : photo.public_id, onfocus: () => this.move(index, false), onclick: (event) => this.open(event, index) },
    small(photo.public_id, tags), h('span', { class: 'caption' }, photo.public_id))
    const tile = h('div', { class: 'tile', role: 'listitem', 'aria-posinset': index + 1, 'aria-setsize': this.total ?? -1 }, open)
    if (this.selects) {
      const box = h('input', { type: 'checkbox', tabIndex: -1, checked: this.selected.has(photo.public_id), 'aria-label': t('select', { name: photo.public_id }) })
      box.addEventListener('click', (event) => event.shiftKey ? this.range(index) : this.choose(index, box.checked))
      tile.append(box)
    }
    tile.style.inlineSize = `${this.side}px`
    tile.style.blockSize = `${this.height}px`
    tile.style.transform = `translate(${(index % this.columns) * (this.side + GAP)}px, ${Math.floor(index / this.columns) * step}px)`
    tile.classList.toggle('chosen', this.selected.has(photo.public_id))
    const after = [...this.tiles.keys()].filter((each) => each > index).sort((a, b) => a - b)[0]
    this.box.insertBefore(tile, after === undefined ? null : this.tiles.get(after))
    this.tiles.set(index, tile)
  }

  open(event, index) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    this.viewer.open(index)
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, Home: -this.photos.length, End: this.photos.length }
    if (event.key in steps) {
      const from = this.current
      this.move(Math.min(Math.max(from + steps[event.key], 0), this.photos.length - 1), true)
      if (event.shiftKey && this.selects) for (const index of between(from, this.current)) this.choose(index, true)
    } else if (event.key === ' ' && this.selects) this.choose(this.current, !this.selected.has(this.photos[this.current].public_id))
    else if (event.key === 'Escape' && this.selected.size) this.clear()
    else return
    event.preventDefault()
  }

  move(index, focus) {
    this.tiles.get(this.current)?.querySelector('a').setAttribute('tabindex', -1)
    this.current = index
    if (focus && !this.tiles.has(index)) {
      scrollTo({ top: this.box.offsetTop + Math.floor(index / this.columns) * (this.height + GAP) - innerHeight / 2 })
      this.paint()
    }
    const open = this.tiles.get(index)?.querySelector('a')
    open?.setAttribute('tabindex', 0)
    if (focus) open?.focus()
  }

  choose(index, is) {
    const photo = this.photos[index]
    if (is) this.selected.set(photo.public_id, photo)
    else this.selected.delete(photo.public_id)
    this.last = index
    this.tell(index)
    this.dispatchEvent(new Event('selection'))
  }

  range(index) {
    for (const each of between(this.last ?? index, index)) this.choose(each, true)
  }

  clear() {
    this.selected.clear()
    for (const index of this.tiles.keys()) this.tell(index)
    this.dispatchEvent(new Event('selection'))
  }

  tell(index) {
    const tile = this.tiles.get(index)
    const is = this.selected.has(this.photos[index].public_id)
    tile?.classList.toggle('chosen', is)
    const box = tile?.querySelector('input')
    if (box) box.checked = is
  }
}

function between(a, b) {
  return Array.from({ length: Math.abs(b - a) + 1 }, (_, step) => Math.min(a, b) + step)
}

customElements.define('photo-grid', PhotoGrid)

export function grid(photos, options) {
  const element = document.createElement('photo-grid')
  element.begin = () => element.start(async () => ({ photos, total: photos.length, last: true }), options)
  return element
}
