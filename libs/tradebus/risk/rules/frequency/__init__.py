"""How often a symbol is traded, and how fast entries follow each other."""
