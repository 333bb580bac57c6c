"""Committed rows, followed from changelogs and made searchable in memory.

What belongs here reads rows that `fold` has made; it never changes them. Start with `replica.py` (all
partitions), `partition.py` (one), then the index that you care about: `images/`, `trends/`, `users/`.
"""
