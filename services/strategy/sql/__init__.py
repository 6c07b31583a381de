"""The strategy service's named SQL."""
