// Words in the reader's language, and numbers and times as it writes them.

const LANGUAGES = { en: 'English', de: 'Deutsch' }
let texts = {}
export let language = 'en'

export async function loadTexts() {
  const wanted = localStorage.getItem('language') ?? navigator.language.slice(0, 2)
  language = wanted in LANGUAGES ? wanted : 'en'
  document.documentElement.lang = language
  texts = await (await fetch(`/page/texts/${language}.json`)).json()
}

export const languages = Object.entries(LANGUAGES)

export function speak(code) {
  localStorage.setItem('language', code)
  location.reload()
}

// `t('found', { count: 3 })`: `{count}` stands for the value; `found.one` is said where count is 1.
export function t(key, values = {}) {
  const singular = values.count === 1 ? texts[`${key}.one`] : undefined
  const text = singular ?? texts[key] ?? key
  return text.replace(/{(\w+)}/g, (_, name) => {
    const value = values[name]
    return typeof value === 'number' ? number(value) : String(value ?? '')
  })
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value)

export const percent = (value) =>
  new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: value < 0.1 ? 1 : 0 }).format(value)

export const moment = (at) =>
  new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(at))

// The same on an axis whose marks are so many seconds apart: the hour, but at midnight the day.
export function day(at, step) {
  const time = new Date(at)
  const within = step < 86400 && (time.getHours() || time.getMinutes())
  return new Intl.DateTimeFormat(language, within ? { timeStyle: 'short' } : { month: 'short', day: 'numeric' }).format(time)
}

const STEPS = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]]

export function ago(at) {
  const seconds = (new Date(at) - Date.now()) / 1000
  const [unit, length] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? ['second', 1]
  return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(Math.round(seconds / length), unit)
}

// A moment, told as long ago, and in full where one points at it.
class TimeAgo extends HTMLElement {
  connectedCallback() {
    const at = this.getAttribute('at')
    const time = document.createElement('time')
    time.dateTime = at
    time.title = moment(at)
    this.replaceChildren(time)
    const tell = () => { time.textContent = ago(at) }
    tell()
    this.timer = setInterval(tell, 20000)
  }

  disconnectedCallback() {
    clearInterval(this.timer)
  }
}

customElements.define('time-ago', TimeAgo)
