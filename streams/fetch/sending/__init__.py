"""Sending to strangers' URLs, by the same rules by which they are fetched from."""
