"""How Kafka is reached, read, written and watched; and the few places where aiokafka is mended.

What belongs here knows the protocol and no image. Start with `connection.py`, then `partition_log.py`
(reading) and `admin.py` (topics).
"""
