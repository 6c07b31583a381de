"""What is held already, reservations counted."""
