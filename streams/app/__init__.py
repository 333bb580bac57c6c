"""The process: the Faust app, settings, what is wired to what, how it starts and ends.

What belongs here knows Faust, reads settings, or puts rooms together; work itself belongs to the rooms.
Start with `worker.py` (order of start and stop), then `faust_app.py` (who owns which partition).
"""
