"""Assets: those that are committed (`library.py`), and all that changes them.

Bytes go first, then the event, then the answer; whatever is left over after a crash is swept. Start with
`library.py` and `commands.py`.
"""
