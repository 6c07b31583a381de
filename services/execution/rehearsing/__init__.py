"""What the orders of a dry run would have been at its broker."""
