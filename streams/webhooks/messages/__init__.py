"""What receivers are told, and how they know that it is true: pure. Start with `notifications.py`."""
