"""What market_data decides, without I/O: which history is sound, what a day of it publishes, how slices are cut."""
