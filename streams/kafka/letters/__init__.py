"""The dead letters that there are: read, chosen among, and published again. It starts with `box.py`."""
