"""What callers send, made sense of: bodies to fields, fields to options, callers to keys; and why not.

Nothing here knows of Kafka, of stores or of routes. Start with `forms.py` (a body's fields and its file),
then `authentication.py` (who calls) and `options.py` (what an upload asks for).
"""
