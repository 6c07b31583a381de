"""What a person must hear outside of a terminal: told to each configured sink, once."""
