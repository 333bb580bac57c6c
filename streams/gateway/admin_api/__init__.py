"""The Admin API: what there is in a cloud, listed, searched, updated and deleted by whoever has a key.

Lists and searches go over all assets of a cloud, in a thread (`finding.py`). Start with `routes.py`.
"""
