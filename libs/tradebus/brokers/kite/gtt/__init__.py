"""Kite's own triggers (GTT)."""
