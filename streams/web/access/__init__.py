"""Who may ask, what about, and how much: tokens, tenants, host names, rates, and work at once."""
