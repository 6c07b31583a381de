"""Runs that were made, with what went into them: written once, found again by `tradebus runs`."""
