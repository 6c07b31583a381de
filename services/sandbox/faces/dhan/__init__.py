"""Dhan's face."""
