"""An event's outcome: parse, fetch, decode and infer in micro-batches, apply the rules. Touches no state.

What belongs here turns one record into an `Outcome` (streams/fold/outcomes.py). Start with `categorizer.py`;
the threads that decode and infer are in `pool.py`.
"""
