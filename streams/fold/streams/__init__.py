"""Streams of what changed: the records that other engines read, made of the rows of each transaction.

They are written in that transaction, so a stream holds what the state holds, whoever dies. Start with
`told.py`.
"""
