"""What Faust sees: the application, its agent, its tables, its worker. Start with `app.py`."""
