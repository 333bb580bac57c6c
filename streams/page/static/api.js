// Questions to this host, and why there is no answer.

export class Refusal extends Error {
  constructor(status, code, reason) {
    super(reason)
    this.status = status
    this.code = code
  }
}

export const OURS = { 'x-tagstream-page': '1' }

export function query(params) {
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== '') pairs.append(name, each)
    }
  }
  const text = pairs.toString()
  return text ? `?${text}` : ''
}

export async function ask(path, params = {}, options = {}) {
  let answer
  try {
    answer = await fetch(path + query(params), { credentials: 'same-origin', ...options })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new Refusal(0, 'unreachable', '')
  }
  const body = await answer.text()
  let told = {}
  try {
    told = body ? JSON.parse(body) : {}
  } catch {
    throw new Refusal(answer.status, 'no_json', body.slice(0, 200))
  }
  if (!answer.ok) throw new Refusal(answer.status, told.error ?? '', told.reason ?? answer.statusText)
  return told
}

export const send = (path, body, params = {}, options = {}) =>
  ask(path, params, {
    method: 'POST',
    body: JSON.stringify(body),
    ...options,
    headers: { 'content-type': 'application/json', ...OURS, ...options.headers },
  })

export const thumbnail = (id, tenant) => `/page/thumbnails/${encodeURIComponent(id)}${query({ tenant })}`
export const picture = (id, tenant) => `/page/pictures/${encodeURIComponent(id)}${query({ tenant })}`
