"""Kite's face."""
