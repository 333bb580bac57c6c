"""Counts of tags over time. Start with `index.py`; what rises is decided in `rising.py`."""
