"""Room for fetches: slots, places apart, memory, and whose share of them is whose."""
