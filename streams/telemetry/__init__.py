"""What a worker tells Prometheus about itself.

`metrics.py` is the whole list: a metric that is not in it cannot be told. What happens is recorded
(`recorder.py`) in the event loop's thread, which needs no locks; what merely is, is read when somebody asks
(`exposition.py`, `server.py`). This room knows no other: it is told names and numbers.
"""
