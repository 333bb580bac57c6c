"""The state as tables for other engines: images, their tags and all counts, at one set of offsets.

Start at `job.py`: partition by partition the rows are read to a moment between two transactions (`cut.py`),
put aside on disk (`shelf.py`), made flat (`tables.py`) and written (`files.py`).
"""
