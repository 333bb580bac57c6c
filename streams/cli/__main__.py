"""`python -m streams.cli`: the `tagstream` command."""

from streams.cli.main import main

main()
