"""Models on servers elsewhere, as add-ons. Start with `pool.py`; `description.py` is what people write."""
