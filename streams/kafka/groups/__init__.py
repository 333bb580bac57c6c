"""Consumer groups: who is in ours under our name, and which partitions one gives a process."""
