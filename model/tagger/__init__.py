"""Pixels to tags: the network, its vocabulary, general tags. Start with `tagger.py`."""
