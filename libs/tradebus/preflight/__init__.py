"""What must be so before an order may reach a real broker: gates, each a file of its own and a line in `registry`."""
