"""Runs that end by themselves: a replayed window, the demonstrations."""
