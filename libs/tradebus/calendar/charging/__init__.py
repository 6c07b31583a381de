"""What trading costs, by date."""
