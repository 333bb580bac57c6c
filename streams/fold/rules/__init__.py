"""An operator's rules for tags: which are reported, under which names, and which are assigned."""
