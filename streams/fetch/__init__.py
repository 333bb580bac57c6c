"""A stranger's URL to bytes, bounded in size, time and reach.

Nothing else in the program opens such a connection.

What belongs here: addresses, transports, limits, circuit breakers, files that an operator allows. Start
with `fetcher.py`; its faults are in `errors.py`, what responses mean in `responses.py`.
"""
