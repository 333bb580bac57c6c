"""Imagga's API, version 2: tags of images that are not kept, by this deployment's own add-ons.

Start reading at `imagga_api.py`. Such a call is no event: it goes to the taggers of this process, by the
rules that hold for events, and leaves nothing in topics, library and trends, unless it says `keep=1`.
"""
