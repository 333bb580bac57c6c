"""`tagstream export`: the state as tables for other engines."""
