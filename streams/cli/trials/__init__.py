"""Trying things before a worker has them: rules, models, threads. One command per module."""
