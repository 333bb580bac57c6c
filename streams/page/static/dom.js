// Elements from names, properties and children. Whatever somebody typed becomes text, never markup.

export function h(name, props = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (key === 'class') element.className = value
    else if (key in element && !key.includes('-') && key !== 'list') element[key] = value
    else element.setAttribute(key, value === true ? '' : value)
  }
  add(element, children)
  return element
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) element.append(child)
  }
}

export function fill(element, ...children) {
  element.replaceChildren()
  add(element, children)
  return element
}

export function onIdle(work, milliseconds) {
  let timer
  return (...given) => {
    clearTimeout(timer)
    timer = setTimeout(() => work(...given), milliseconds)
  }
}
