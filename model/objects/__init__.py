"""Persons and vehicles, by a detector."""
