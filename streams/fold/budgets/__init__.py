"""What tenants may take of a partition.

`usage.py` counts what each has; `limits.py` says what is too much.
"""
