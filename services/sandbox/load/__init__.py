"""Load: accounts that trade, and what a sandbox makes of them."""
