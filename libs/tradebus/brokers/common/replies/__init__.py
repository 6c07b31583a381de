"""Reading what any broker sent."""
