// Begins: who is signed in, the frame around each view, and the view that the address names.

import { Refusal, ask, OURS } from './api.js'
import { fill, h } from './dom.js'
import { explain, note } from './parts/notes.js'
import { go, link, over, place, state } from './router.js'
import { languages, language, loadTexts, speak, t } from './texts.js'

const VIEWS = {
  '/': ['try', 'try'], '/library': ['library', 'library'], '/image': ['image', null], '/trends': ['trends', 'trends'],
  '/tag': ['tag', null], '/live': ['live', 'live'], '/letters': ['letters', 'letters'], '/users': ['users', 'users'],
  '/duplicates': ['duplicates', null], '/health': ['health', 'health'], '/settings': ['settings', 'settings'],
}
let leaving = new AbortController()

async function begin() {
  await loadTexts()
  document.querySelector('.skip').textContent = t('skip')
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault()
    document.getElementById('main').focus()
  })
  await refresh()
  addEventListener('hashchange', moved)
  addEventListener('tagstream:signed', () => refresh().then(show))
  await show()
}

// Where only the photo over the view has changed, the view stays.
function moved({ oldURL, newURL }) {
  const [before, after] = [oldURL, newURL].map((url) => url && over(null, new URL(url).hash))
  if (before && before === after) dispatchEvent(new Event('tagstream:photo'))
  else show()
}

async function refresh() {
  state.session = await ask('/page/session')
}

function frame(path) {
  const { session } = state
  const links = Object.entries(VIEWS).filter(([, [, name]]) => name).map(([to, [, name]]) =>
    h('a', { href: link(to), 'aria-current': to === path ? 'page' : null }, t(`nav.${name}`)))
  fill(document.getElementById('top'),
    h('a', { class: 'brand', href: link('/') }, h('img', { src: '/page/icon.svg', alt: '', width: 22, height: 22 }), 'Tagstream'),
    h('nav', { 'aria-label': t('nav') }, links),
    h('div', { class: 'who' }, tenants(session), tongue(), session.name && h('button', { class: 'plain', onclick: signOut },
      t('sign.out', { name: session.name }))))
}

function tenants(session) {
  if (session.tenants.length < 2 && !(session.every_tenant && session.tenants.length)) return null
  const known = session.every_tenant ? [...new Set(['', ...session.tenants])] : session.tenants
  if (known.length < 2) return null
  return h('label', {}, h('span', { class: 'unseen' }, t('tenant')),
    h('select', { onchange: (event) => go(place().path === '/image' ? '/library' : place().path, { tenant: event.target.value }) },
      known.map((name) => h('option', { value: name, selected: name === state.tenant }, name || t('tenant.none')))))
}

function tongue() {
  return h('label', {}, h('span', { class: 'unseen' }, t('language')),
    h('select', { onchange: (event) => speak(event.target.value) },
      languages.map(([code, name]) => h('option', { value: code, selected: code === language }, name))))
}

async function signOut() {
  await ask('/page/session', {}, { method: 'DELETE', headers: OURS })
  await refresh()
  await show()
}

async function show() {
  leaving.abort()
  leaving = new AbortController()
  const { signal } = leaving
  const { path, params } = place()
  const { session } = state
  const own = session.tenants.includes('') || session.every_tenant ? '' : session.tenants[0] ?? ''
  state.tenant = params.get('tenant') ?? own
  frame(path)
  const main = document.getElementById('main')
  const [name] = session.reads ? VIEWS[path] ?? ['missing'] : ['sign']
  main.dataset.view = name
  fill(main, h('p', { class: 'unseen' }, t('loading')))
  main.setAttribute('aria-busy', 'true')
  scrollTo(0, 0)
  try {
    const { view } = await import(`./views/${name}.js`)
    if (signal.aborted) return
    fill(main)
    document.title = `${t(`title.${name}`)} – Tagstream`
    await view(main, { params, signal })
    main.focus({ preventScroll: true })
  } catch (error) {
    if (error.name === 'AbortError' || signal.aborted) return
    if (error instanceof Refusal && error.status === 401) return refresh().then(show)
    if (!(error instanceof Refusal)) console.error(error)
    fill(main, h('h1', {}, t(`title.${name}`)), explain(error, show))
  } finally {
    if (!signal.aborted) main.removeAttribute('aria-busy')
  }
}

addEventListener('unhandledrejection', (event) => {
  if (event.reason instanceof Refusal) {
    note(event.reason)
    event.preventDefault()
  } else if (event.reason?.name === 'AbortError') event.preventDefault()
})

begin()
