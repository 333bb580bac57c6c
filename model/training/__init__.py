"""Heads of one's own: labelled photos to a model folder. Start with `heads.py`; not used at run time."""
