"""The page: what people look at in a browser, served by the product itself.

`static/` is the page, files that are served as they are: start with `static/app.js`. The modules here serve
them, and what the page asks for besides the query API: who is signed in, pictures, edits and uploads, what is
committed as it comes. Start with `page.py`, which puts them together.
"""
