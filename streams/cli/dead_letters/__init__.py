"""`tagstream dead-letters`: list, explain, replay. Start with `command.py`."""
