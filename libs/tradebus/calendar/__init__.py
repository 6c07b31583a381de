"""Dated market rules. Takes a date, never today."""
