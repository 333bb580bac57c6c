"""Kafka in, Kafka out: rooms along the data path.

In the order in which an upload meets them: `kafka` (read), `units` (one partition in work), `fetch` and
`tag` (from an event to its outcome), `fold` (from an outcome to rows and records), `state` (committed rows,
searchable), `web` (questions). `app` wires them into one process, `cli` stands on top.

Imports follow another order, from the top: `cli`; `app`; `web` and `units`; `tag` and `state`; `fetch`,
`fold` and `kafka`; `telemetry`; then `model` and `schemas`, which are beside this package. No room imports
one above it, nor one of its own layer.
"""
