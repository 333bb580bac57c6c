"""`tagstream rescale`: more partitions of state than one began with."""
