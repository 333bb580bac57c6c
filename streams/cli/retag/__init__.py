"""`tagstream retag`: known images anew, for real or as a dry run. Start with `job.py`."""
