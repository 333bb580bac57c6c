// How this worker and the partitions are: lag, what waits for a retry, models, rules, and the doctor's checks.

import { ask } from '../api.js'
import { h } from '../dom.js'
import { table } from '../parts/choices.js'
import { empty } from '../parts/notes.js'
import { go } from '../router.js'
import { number, t } from '../texts.js'

export async function view(root, { signal }) {
  const health = await ask('/page/health', {}, { signal })
  const good = health.status === 'ready'
  root.append(h('h1', {}, t('title.health')), h('p', {}, h('span', { class: `state ${good ? 'ok' : 'fault'}` }, health.status), ' · ', t('health.roles', { roles: health.roles.join(', ') })),
    h('section', {}, h('h2', {}, t('health.partitions')), table([t('health.partition'), t('health.loaded'), t('health.offset'), t('health.lag'), t('health.retries'), t('health.owned')],
      health.partitions.map((each) => [each.partition, each.ready ? '✓' : '…', number(each.next_offset), each.lag === null ? '?' : number(each.lag), number(each.retries), each.owned ? '✓' : '']))),
    h('section', {}, h('h2', {}, t('health.models')), health.models.length ? h('ul', { class: 'origins' }, health.models.map(({ add_on: name, model }) => h('li', {}, h('strong', {}, name), ' ', h('span', { class: 'fine' }, model)))) : empty('health.untagging'),
      h('p', {}, t('rules'), ' ', health.rules ?? '–', health.rules_error && h('span', { class: 'problem' }, health.rules_error))),
    h('section', {}, h('h2', {}, t('health.circuits')), health.circuits === null ? empty('health.untagging') : health.circuits.length
      ? h('ul', {}, health.circuits.map((host) => h('li', {}, host))) : h('p', {}, t('health.closed'))),
    h('section', {}, h('h2', {}, t('health.checks')), health.checks === null ? empty('health.unchecked') : h('ul', { class: 'origins' }, health.checks.map(({ level, text }) =>
      h('li', {}, h('span', { class: `state ${level}` }, t(`level.${level}`)), ' ', text)))),
    h('p', {}, h('button', { onclick: () => go('/health') }, t('again'))))
}
