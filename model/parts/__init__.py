"""The classifier, objects and scenes as one tagger. Start with `combined.py`."""
