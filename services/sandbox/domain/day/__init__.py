"""The instants of a trading day, and what happens at them."""
