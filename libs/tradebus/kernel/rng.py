"""Randomness that can be repeated: a stateless draw from a seed and the thing it is drawn for.

A stateless draw survives restarts: whoever asks again about the same thing gets the same number. Sequences for
generated data come from numpy generators seeded with `seed_for`.
"""

import hashlib

from tradebus.kernel.ids import joined


def seed_for(seed: int, *what: str | int) -> int:
    """A 64-bit seed for one named use of a run's seed."""
    return int.from_bytes(hashlib.blake2b(joined(seed, *what), digest_size=8).digest(), "big")


def uniform(seed: int, *what: str | int) -> float:
    """A number in [0, 1), the same for the same arguments for ever."""
    return (seed_for(seed, *what) >> 11) / (1 << 53)


def jittered(delay_seconds: float, attempt: int, *, seed: int) -> float:
    """`delay_seconds` times a factor in [0.5, 1.5), for back-off between attempts."""
    return delay_seconds * (0.5 + uniform(seed, attempt))
