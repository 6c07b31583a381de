"""How fast calls may leave to Upstox (BROKERS 6).

Orders are held to the second only: one that waited for the end of a minute would be worse than one that is refused.
It is the last guard of one login in one process; the order governor, which counts all of them, is never looser.
"""

# Calls and seconds, a little below what Upstox counts by its own clock: 10 orders a second; 50 reads, 500 a minute.
ORDER_WINDOWS = ((9, 1.0),)
READ_WINDOWS = ((45, 1.0), (480, 60.0))
