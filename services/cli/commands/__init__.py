"""One module per command: its options and help above, its work imported inside."""
