"""Words that stand in images: an optional add-on. Begin at `text_tagger.py`."""
