"""HTTP: who may ask (`access/`), and the questions (`api/`).

What belongs here answers from state that is committed; it tags nothing. Start with `server.py`, then
`api/routes.py`, the table of all routes.
"""
