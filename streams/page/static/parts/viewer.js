// A photo as large as the screen, over the view that it was opened from. Arrow keys and swipes lead on, the wheel, two
// fingers, `+`, `-` and a double click zoom, Escape, Back and a swipe downwards close. It is in the address, as `photo`.

import { picture } from '../api.js'
import { fill, h } from '../dom.js'
import { over, place, link, state } from '../router.js'
import { t } from '../texts.js'
import { small } from './photo.js'

const MOST = 8 // times the size that fits
const STEP = 1.6
const CLOSER = 3 // by a double click
const SWIPE = 60 // pixels from which a drag leads on
const TAP = 300 // milliseconds between two taps that are a double click

export class Viewer {
  // `source`: { photos, total, load(): more of them, seen(index): the photo that was looked at last }.
  constructor(source) {
    this.source = source
    this.leaving = new AbortController()
    this.held = new Map()
    this.kept = new Map()
    const { signal } = this.leaving
    addEventListener('tagstream:photo', () => this.resume(), { signal })
    addEventListener('keydown', (event) => this.dialog?.open && this.key(event), { signal })
    addEventListener('resize', () => this.dialog?.open && this.put(this.scale, this.x, this.y), { signal })
  }

  drop() {
    this.leaving.abort()
    this.dialog?.remove()
  }

  // What the address names is shown; where it is not among these photos only if the source is `whole`.
  resume() {
    const id = place().params.get('photo')
    if (!id) return this.dialog?.close()
    const index = this.source.photos.findIndex((photo) => photo.public_id === id)
    if (index >= 0 || this.source.whole) this.appear(index, id)
  }

  open(index) {
    const { public_id: id } = this.source.photos[index]
    history.pushState({ over: true }, '', over(id))
    this.appear(index, id)
  }

  appear(index, id) {
    if (!this.dialog?.open && document.querySelector('dialog.viewer')) return
    this.dialog ??= this.build()
    if (!this.dialog.isConnected) {
      document.body.append(this.dialog)
      this.dialog.showModal()
      this.dialog.focus()
    }
    this.show(index, id)
  }

  build() {
    const button = (name, sign, work) => h('button', { class: `plain ${name}`, 'aria-label': t(`viewer.${name}`), title: t(`viewer.${name}`), onclick: work }, sign)
    this.stage = h('div', { class: 'stage', ondragstart: (event) => event.preventDefault(), onpointerdown: (event) => this.down(event), onpointermove: (event) => this.move(event),
      onpointerup: (event) => this.up(event), onpointercancel: (event) => this.up(event) })
    this.stage.addEventListener('wheel', (event) => this.wheel(event), { passive: false })
    this.words = h('p', { 'aria-live': 'polite' })
    this.details = h('a', {}, t('viewer.details'))
    this.ends = [button('back', '‹', () => this.step(-1)), button('next', '›', () => this.step(1))]
    return h('dialog', { class: 'viewer', tabIndex: -1, 'aria-label': t('viewer'), onclose: () => this.closed() }, this.stage,
      h('header', {}, this.words, this.details, button('out', '−', () => this.zoom(this.scale / STEP)), button('in', '+', () => this.zoom(this.scale * STEP)), button('close', '×', () => this.dialog.close())), this.ends)
  }

  closed() {
    this.dialog.remove()
    this.held.clear()
    this.kept.clear()
    if (place().params.get('photo')) history.state?.over ? history.back() : history.replaceState(null, '', over())
    if (this.index >= 0) this.source.seen?.(this.index)
  }

  async show(index, id) {
    const { photos, total } = this.source
    const photo = photos[index] ?? { public_id: id, tags: [] }
    Object.assign(this, { index, photo })
    history.replaceState(history.state, '', over(photo.public_id))
    const tags = photo.tags.map(({ tag }) => tag).join(', ')
    fill(this.words, h('b', {}, photo.public_id), index >= 0 && total > 1 && ` ${t('viewer.place', { at: index + 1, total })}`, tags && h('span', {}, tags))
    this.details.href = link('/image', { id: photo.public_id })
    this.ends.forEach((end, side) => end.setAttribute('aria-disabled', side ? index + 1 >= (total ?? 0) : index < 1))
    this.fit(small(photo.public_id, tags))
    for (const each of this.kept.keys()) if (![-1, 0, 1].some((by) => photos[index + by]?.public_id === each)) this.kept.delete(each)
    const large = await this.large(photo)
    if (large && this.photo === photo) this.fit(large)
    if (index > photos.length - 5) this.source.load?.()
    for (const next of [photos[index + 1], photos[index - 1]]) if (next) this.large(next)
  }

  large(photo) {
    if (!this.kept.has(photo.public_id)) {
      const image = h('img', { src: picture(photo.public_id, state.tenant), alt: photo.tags.map(({ tag }) => tag).join(', ') || photo.public_id })
      this.kept.set(photo.public_id, image.decode().then(() => image, () => null))
    }
    return this.kept.get(photo.public_id)
  }

  fit(element) {
    this.seen = element
    fill(this.stage, element)
    this.put(1, 0, 0)
  }

  async step(by) {
    const to = this.index + by
    if (to >= this.source.photos.length) await this.source.load?.()
    if (this.source.photos[to]) this.show(to)
    else this.put(1, 0, 0)
  }

  // About a point, told from the middle of the screen.
  zoom(scale, x = 0, y = 0) {
    const next = Math.min(Math.max(scale, 1), MOST)
    const by = next / this.scale
    this.put(next, x - (x - this.x) * by, y - (y - this.y) * by)
  }

  put(scale, x, y, free = false) {
    const { clientWidth: width, clientHeight: height } = this.stage
    const shape = this.seen.naturalWidth / this.seen.naturalHeight || width / height
    const within = (value, size, room) => {
      const most = Math.max((size * scale - room) / 2, 0)
      return free ? value : Math.min(Math.max(value, -most), most)
    }
    Object.assign(this, { scale, x: within(x, Math.min(width, height * shape), width), y: within(y, Math.min(height, width / shape), height) })
    this.seen.style.transform = `translate(${this.x}px, ${this.y}px) scale(${scale})`
    this.stage.classList.toggle('near', scale > 1)
  }

  wheel(event) {
    event.preventDefault()
    const pixels = event.deltaY * (event.deltaMode ? 30 : 1) * (event.ctrlKey ? 4 : 1)
    this.zoom(this.scale * Math.exp(-pixels / 400), ...this.at(event))
  }

  at({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect()
    return [clientX - left - width / 2, clientY - top - height / 2]
  }

  down(event) {
    if (event.button) return
    this.stage.setPointerCapture(event.pointerId)
    if (!this.held.size) Object.assign(this, { way: 0, fingers: 0 })
    this.held.set(event.pointerId, this.at(event))
    this.fingers = Math.max(this.fingers, this.held.size)
  }

  move(event) {
    if (!this.held.has(event.pointerId)) return
    const [x, y, apart] = middle(this.held)
    this.held.set(event.pointerId, this.at(event))
    const [nowX, nowY, nowApart] = middle(this.held)
    this.way += Math.hypot(nowX - x, nowY - y)
    if (apart) this.zoom(this.scale * (nowApart / apart), nowX, nowY)
    this.put(this.scale, this.x + nowX - x, this.y + nowY - y, this.scale === 1 && this.fingers === 1)
  }

  up(event) {
    if (!this.held.delete(event.pointerId) || this.held.size) return
    const { x, y } = this
    if (this.way < 8 && this.fingers === 1) this.tap(event)
    else if (this.scale > 1 || this.fingers > 1) this.put(this.scale, x, y)
    else if (Math.abs(x) > SWIPE && Math.abs(x) > Math.abs(y)) this.step(x < 0 ? 1 : -1)
    else if (y > 2 * SWIPE) this.dialog.close()
    else this.put(1, 0, 0)
  }

  tap(event) {
    const twice = event.timeStamp - (this.tapped ?? -TAP) < TAP
    this.tapped = twice ? undefined : event.timeStamp
    if (twice) this.zoom(this.scale > 1 ? 1 : CLOSER, ...this.at(event))
    else this.put(this.scale, this.x, this.y)
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const aside = { ArrowLeft: 1, ArrowRight: -1 }[event.key]
    const along = { ArrowUp: 1, ArrowDown: -1 }[event.key]
    const scale = { '+': this.scale * STEP, '=': this.scale * STEP, '-': this.scale / STEP, 0: 1 }[event.key]
    if (scale) this.zoom(scale)
    else if (this.scale > 1 && (aside || along)) this.put(this.scale, this.x + (aside ?? 0) * innerWidth / 6, this.y + (along ?? 0) * innerHeight / 6)
    else if (aside) this.step(-aside)
    else if (event.key === 'i') location.assign(this.details.href)
    else return
    event.preventDefault()
  }
}

// Where the fingers are on average, and how far apart two of them.
function middle(held) {
  const [[x, y], [otherX, otherY] = [x, y]] = [...held.values()]
  return [(x + otherX) / 2, (y + otherY) / 2, Math.hypot(x - otherX, y - otherY)]
}
