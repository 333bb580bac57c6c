"""Checks before a worker starts: what lies on this machine, and the cluster as a whole.

Each is a function from settings to findings. `tagstream doctor` prints all of them; a worker refuses to start
where one of `local.py` fails, and loads its models itself, as that takes seconds.
"""
