"""Which of an image's events count, whatever order they are folded in: the same ones. Pure.

Start with `standing.py`; `tellings.py` says what a state inherits, `repeats.py` which events were seen.
"""
