"""What a worker tells others about itself: metrics, traces, and the record that a log line is about.

`metrics.py` is the whole list of metrics: one that is not in it cannot be told. What happens is recorded
(`recorder.py`) in the event loop's thread, which needs no locks; what merely is, is read when somebody asks
(`exposition.py`, `server.py`). `tracing.py` is what the data path calls, and traces nothing; `otlp.py` does,
with the extra `otel`. This room knows no other: it is told names, numbers and records.
"""
