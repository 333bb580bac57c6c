"""One module per `tagstream` command."""
