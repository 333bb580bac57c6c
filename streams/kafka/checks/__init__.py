"""Checks of a cluster: `look.py` asks it once, the others say what of its answers is as it must be.

Each check is a function from answers to findings. `tagstream doctor` prints them; a worker's start refuses to
go on where one fails. Start with `all.py`.
"""
