"""A unit is one partition in work (a task, in Kafka Streams): its order, who waits, its transactions.

What belongs here decides when something happens to a record, never what comes of it. Start with `unit.py`;
transactions are in `ledger.py`.
"""
