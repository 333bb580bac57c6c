"""A stranger's bytes to pixels: sizes are read and refused before anything is unpacked.

Start with `decode.py`.
"""
