"""`tagstream sources`: try how the events of other programs are read, before a worker reads them."""
