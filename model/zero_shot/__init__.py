"""Words as classes: an image encoder, and its text encoder's embedding of each label; see `building.py`."""
