"""Ids, money, UTC time, clocks, randomness and errors. Standard library only; everything may import it."""
