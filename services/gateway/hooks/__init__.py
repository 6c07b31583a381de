"""Signals of other programs, over HTTP: signed, bounded, once."""
