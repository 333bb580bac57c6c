// Counts over time, one line for each tag, with the figures in a table for whoever reads no pictures.

import { h } from '../dom.js'
import { day, moment, number, t } from '../texts.js'
import { wide } from './choices.js'
import uPlot from '../vendor/uplot.js'

const LINES = ['#0b7285', '#c2410c', '#6d28d9', '#15803d', '#b91c5c']
const LINES_IN_THE_DARK = ['#4fc3d9', '#fb923c', '#b79bf5', '#6ddf92', '#f78fb8']

class TagChart extends HTMLElement {
  // `series`: [{tag, points: [{start, count}]}] with the same steps.
  set series(series) {
    this.told = series
    if (this.isConnected) this.draw()
  }

  connectedCallback() {
    this.dark = matchMedia('(prefers-color-scheme: dark)')
    this.again = () => this.draw()
    this.dark.addEventListener('change', this.again)
    this.watching = new ResizeObserver(() => this.plot?.setSize({ width: this.clientWidth, height: 260 }))
    this.watching.observe(this)
    if (this.told) this.draw()
  }

  disconnectedCallback() {
    this.dark.removeEventListener('change', this.again)
    this.watching.disconnect()
    this.plot?.destroy()
  }

  draw() {
    this.plot?.destroy()
    this.replaceChildren()
    const style = getComputedStyle(document.documentElement)
    const [soft, line] = ['--soft', '--line'].map((name) => style.getPropertyValue(name).trim())
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } }
    const times = this.told[0].points.map(({ start }) => new Date(start) / 1000)
    const lines = this.dark.matches ? LINES_IN_THE_DARK : LINES
    const holder = h('div', { class: 'chart', role: 'img', 'aria-label': t('chart', { tags: this.told.map(({ tag }) => tag).join(', ') }) })
    this.append(holder, this.table(), h('span', { class: 'unseen' }))
    this.plot = new uPlot({
      width: this.clientWidth || 600, height: 260, scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [{ ...axis, space: 80, values: (_, times, __, ___, step) => times.map((time) => day(time * 1000, step)) }, { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6], size: 60 }],
      series: [{ label: t('time'), value: (_, time) => (time ? moment(time * 1000) : '–') }, ...this.told.map(({ tag }, index) => ({ label: tag, stroke: lines[index % lines.length], width: 2, dash: index > 4 ? [6, 4] : undefined,
        points: { show: times.length < 40 } }))],
    }, [times, ...this.told.map(({ points }) => points.map(({ count }) => count))], holder)
  }

  table() {
    const rows = this.told[0].points.map(({ start }, index) => h('tr', {}, h('td', {}, moment(start)), this.told.map(({ points }) => h('td', { class: 'number' }, number(points[index]?.count ?? 0)))))
    return h('details', {}, h('summary', {}, t('chart.figures')), wide(t('chart.figures'), h('table', {},
      h('thead', {}, h('tr', {}, h('th', {}, t('time')), this.told.map(({ tag }) => h('th', { class: 'number' }, tag)))), h('tbody', {}, rows))))
  }
}

customElements.define('tag-chart', TagChart)

export function chart(series) {
  const element = document.createElement('tag-chart')
  element.series = series
  return element
}
