"""What goes over the wire: connections that bear with no flood, and requests on them."""
