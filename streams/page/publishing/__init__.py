"""What people change by the page: events that they cause, published and waited for. See `events.py`."""
