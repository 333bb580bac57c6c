"""Rises of tags: when one begins, is at its height and ends, told once each by `image.trends`.

One process of those with the role `trends` reads `tag.counts`, judges each step of time once the counts of
all partitions are past it, and commits what it tells with the state of all rises. What a rise is, is pure:
start with `rise.py`, then `judging.py`; `service.py` puts them together.
"""
