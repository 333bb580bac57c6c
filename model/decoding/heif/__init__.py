"""AVIF and HEIC: what files of boxes hold, and what decoding them will cost, read without decoding.

Start with `heic.py` and `avif.py`; `heic_image.py` is what Pillow lacks, a HEIC that it can load.
"""
