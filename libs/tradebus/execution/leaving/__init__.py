"""The way out of a position: what is done in which order (`exits`), and at which price (`pricing`)."""
