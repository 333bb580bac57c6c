"""Scenes from a classifier's mass and the picture's colours. Start with `scenes.py`."""
