"""Commands that ask the query API: trends, images, users. Start with `asking.py`."""
