"""Bytes in, tags out: decode, resize, infer, name. No Kafka, no HTTP."""
