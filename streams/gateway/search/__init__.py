"""Search: the vendor's expression language over a cloud's assets.

Pure: an expression is parsed (`parser.py`) to a tree (`tree.py`), that is made a test of one asset
(`matching.py`), and `search.py` goes over all of them, sorts, counts and gives a page. Nothing here knows of
HTTP or of Kafka; what takes long runs in a thread of whoever asks.
"""
