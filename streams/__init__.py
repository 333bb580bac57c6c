"""Kafka in, Kafka out: the units of work, the tables, the queries, the command line."""
