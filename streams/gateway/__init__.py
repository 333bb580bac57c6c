"""The gateway: what Cloudinary's and Imagga's own clients call, answered from what the engine has committed.

It stores bytes, publishes one upload event per call, and waits until that is folded: the engine alone writes
the library. So whatever is answered here is true for every gateway, and one that dies takes nothing along.
Start with `assets/` (what there is and how it changes), then `requests/` (what callers send).
"""
