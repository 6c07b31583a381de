"""Whether the entry's own prices make sense."""
