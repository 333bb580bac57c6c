"""Everything on one machine: the embedded broker, `tagstream run`. Start with `run.py`."""
