"""What users are interested in, and who shares it. Start with `index.py`."""
