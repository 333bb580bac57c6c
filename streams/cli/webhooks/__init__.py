"""`tagstream webhooks`: notifications that no receiver took, listed and sent again."""
