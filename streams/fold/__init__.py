"""From an outcome to rows and records: pure, in the order of the log, the same on every replay.

What belongs here neither waits, nor reads a clock, nor knows Kafka's client or HTTP.
Start with `fold.py`; `rows.py` says what is in a row, `rules/` holds the operator's rules for tags.
"""
