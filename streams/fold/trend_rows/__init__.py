"""Rows of the table `trends`, decoded: counts of buckets, and what came lately.

Start with `recent.py`: it says why there are two kinds.
"""
