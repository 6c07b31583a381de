"""Limits that are changed while running: of a session, and of what several sessions share."""
