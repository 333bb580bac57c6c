"""From upload topics of any number, with any partitions, to the one log that units read.

Each partition of an upload topic has one owner, who copies its records to the partitions of their images,
each once: copies and how far they reach are one transaction. Start with `service.py`.
"""
