"""What goes wrong on purpose, and how often a broker lets one ask."""
