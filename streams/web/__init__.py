"""HTTP: who may ask (`access/`), and the questions (`api/`).

What belongs here answers from state that is committed; it tags nothing. Start with `app.py`, where Litestar
gets its handlers and `door.py` stands before them; `server.py` is uvicorn in the worker's loop. Routes of
questions are tables in `api/`, which knows no web framework.
"""
