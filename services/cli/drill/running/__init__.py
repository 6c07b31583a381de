"""One run: what happens in it, who plays the parts that are not drilled, and what must be so at its end."""
