"""Instructions per image: what the worker's own code costs, counted instead of timed.

Time differs from machine to machine and from run to run, instructions do not. `work.py` is what is counted,
`counted.py` counts it, `compared.py` holds it against what is accepted.
"""
