"""What others may rely on: the topics as an AsyncAPI document, and what a release may change of schemas.

Start at `channels.py`.
"""
