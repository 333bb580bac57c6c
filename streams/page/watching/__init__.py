"""What is committed, as it comes: followed once, and told to each browser that watches. See `feed.py`."""
