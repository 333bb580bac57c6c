"""Webhooks: what is committed is told to receivers over HTTP, signed, at least once, in order per asset.

Start reading at `unit.py`: one partition, from the output topics to the receivers. Which notification comes
of which record is in `messages/`, and pure.
"""
