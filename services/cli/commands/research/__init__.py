"""Commands that ask what a strategy is worth."""
