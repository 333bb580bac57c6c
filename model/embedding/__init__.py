"""What an image looks like to the default classifier, in 32 bytes. Begin at `codes.py`."""
