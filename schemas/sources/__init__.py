"""Upload events out of what others publish: buckets' notifications, rows of databases, envelopes. Pure.

Each module reads one kind of message into changes; `mapping.py` is the operator's file that says which topic
is read how, and `translate.py` makes upload events of both. Start with `changes.py`.
"""
