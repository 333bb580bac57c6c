"""`python -m benchmarks.peers`: see `benchmarks.peers.contest`."""

from benchmarks.peers.contest import main

main()
