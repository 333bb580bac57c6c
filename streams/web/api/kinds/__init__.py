"""Kinds of parameters that take more than a line: cursors of pages, moments as people say them."""
