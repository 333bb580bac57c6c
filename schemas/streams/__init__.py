"""Streams of what changed: flat, keyed records for engines that know nothing of us. See `records.py`."""
