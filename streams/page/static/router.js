// Addresses: what is seen is all in the part behind #, so that each state has a link and Back works.

export const state = { session: null, tenant: '' }

export function place(hash = location.hash) {
  const [path, text] = hash.slice(1).split('?')
  return { path: path || '/', params: new URLSearchParams(text ?? '') }
}

export function link(path, params = {}) {
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...params, tenant: params.tenant ?? state.tenant })) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== '') pairs.append(name, each)
    }
  }
  return address(path, pairs)
}

function address(path, pairs) {
  const text = pairs.toString()
  return `#${path}${text ? `?${text}` : ''}`
}

// The same view with a photo over it, or with none.
export function over(photo, hash) {
  const { path, params } = place(hash)
  params.delete('photo')
  if (photo) params.set('photo', photo)
  return address(path, params)
}

export function go(path, params = {}, { replace = false } = {}) {
  const to = link(path, params)
  if (to === location.hash) dispatchEvent(new HashChangeEvent('hashchange'))
  else if (replace) location.replace(to)
  else location.hash = to
}
