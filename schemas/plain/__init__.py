"""What plain JSON events may look like, and what is no such event though it looks like one.

Start with `leniency.py`; `lookalikes.py` names what a person sent instead.
"""
