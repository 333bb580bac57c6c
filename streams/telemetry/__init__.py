"""What a worker tells others about itself: traces, and the record that a log line is about.

`tracing.py` is what the data path calls; it traces nothing. `otlp.py` does, with the extra `otel`. This room
knows no other: it is told names, numbers and records.
"""
