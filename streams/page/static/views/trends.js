// What is used most, what rises, and how two windows compare.

import { ask } from '../api.js'
import { h } from '../dom.js'
import { chart } from '../parts/chart.js'
import { WINDOWS, choices, table } from '../parts/choices.js'
import { empty, freshness } from '../parts/notes.js'
import { go, link, state } from '../router.js'
import { number, t } from '../texts.js'
import { tagInput } from '../parts/tag-input.js'

const LINES = 5

export async function view(root, { params, signal }) {
  const wanted = params.get('window') ?? '24h'
  const chosen = params.getAll('line')
  const { tenant } = state
  const bounded = wanted === 'all' ? '30d' : wanted
  const [top, rising, compared] = await Promise.all([
    ask('/trends/top', { window: wanted, limit: 20, tenant }, { signal }), ask('/trends/rising', { window: bounded, limit: 10, tenant }, { signal }),
    ask('/trends/compare', { a: bounded, b: 'previous', limit: 10, tenant }, { signal })])
  root.append(h('h1', {}, t('title.trends')), choices('window', WINDOWS, wanted, (window) => link('/trends', { window, line: chosen })), freshness(top) ?? '')
  if (!top.tags.length) return root.append(empty('trends.none', h('a', { href: link('/') }, t('nav.try'))))
  root.append(await lines(chosen.length ? chosen : top.tags.slice(0, LINES).map(({ tag }) => tag), wanted, signal, chosen),
    h('div', { class: 'columns' }, section('trends.top', ranked(top.tags)), section('trends.rising', rising.tags.length
      ? table([t('tag'), t('trends.seen'), t('trends.expected'), t('trends.score')], rising.tags.map((row) => [to(row.tag), number(row.observed), number(row.expected, 1), number(row.score, 1)])) : empty('trends.calm')),
    section('trends.compared', table([t('tag'), t('trends.now'), t('trends.before'), t('trends.ratio')],
      compared.tags.map((row) => [to(row.tag), number(row.a), number(row.b), row.ratio === null ? '–' : `× ${number(row.ratio, 1)}`])))))
}

const to = (tag) => h('a', { href: link('/tag', { tag }) }, tag)
const section = (title, ...content) => h('section', {}, h('h2', {}, t(title)), content)

function ranked(tags) {
  const most = tags[0].count
  return h('ul', { class: 'bars' }, tags.map(({ tag, count }) => {
    const bar = h('span', { class: 'bar' })
    bar.style.inlineSize = `${(count / most) * 100}%`
    return h('li', {}, to(tag), h('span', { class: 'track', 'aria-hidden': 'true' }, bar), h('span', { class: 'figure' }, number(count)))
  }))
}

async function lines(tags, window, signal, chosen) {
  const found = await Promise.all(tags.map((tag) => ask(`/trends/tags/${encodeURIComponent(tag)}`, { window, tenant: state.tenant }, { signal }).catch((error) => {
    if (error.status === 404) return null
    throw error
  })))
  const series = found.filter((each) => each?.points.length)
  const same = series.filter(({ step }) => step === series[0].step)
  const add = tagInput(t('trends.line'), (tag) => go('/trends', { window, line: [...new Set([...chosen, tag])].slice(0, 10) }))
  return h('section', {}, h('h2', {}, t('trends.series')), same.length ? chart(aligned(same)) : empty('trends.gone'), h('div', { class: 'filter' }, add,
    chosen.length > 0 && h('ul', { class: 'chips' }, chosen.map((tag) => h('li', {}, tag, h('a', { href: link('/trends', { window, line: chosen.filter((each) => each !== tag) }), 'aria-label': t('drop', { tag }) }, ' ×'))))))
}

// Series of all time begin when their tag did: what is missing before is nothing.
function aligned(series) {
  const starts = [...new Set(series.flatMap(({ points }) => points.map(({ start }) => start)))].sort()
  return series.map(({ tag, points }) => {
    const counts = new Map(points.map(({ start, count }) => [start, count]))
    return { tag, points: starts.map((start) => ({ start, count: counts.get(start) ?? 0 })) }
  })
}
