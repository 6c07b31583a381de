"""What is asked before an entry leaves: its price band, and the margin of it or of its group."""
