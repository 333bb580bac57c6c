"""`tagstream model`: models of one's own. One command per module."""
