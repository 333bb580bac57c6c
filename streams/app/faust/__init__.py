"""What Faust sees: the application, its agent, its tables. Start with `app.py`."""
