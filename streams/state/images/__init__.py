"""Images in columns, searched by tags. Start with `index.py`; the columns are in `library.py`."""
