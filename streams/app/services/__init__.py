"""What each role does in the process: a service that is started with the state, and stopped.

Start with `service.py`: what a role has to be. `tagging.py` and `answering.py` are the roles `tag` and
`query`; `query_indexes.py` is what questions are answered from.
"""
