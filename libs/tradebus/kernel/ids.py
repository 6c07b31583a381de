"""Identifiers.

An id that names an effect (signal, intent, order, event) is derived from what caused it: the same cause gives the
same id after a crash, a redelivery or a replay, which is what makes repeating harmless. The layout is UUIDv7 (RFC
9562) with the 74 free bits taken from a BLAKE2 digest of the cause instead of a random source, so ids sort by time.
Property: derive_id is a pure function of its arguments; different causes give different ids. A part is its text, so
that the number 1, the text "1" and an enum of that value name the same cause, wherever it was read from.
"""

import hashlib
import os
import time
from typing import Protocol

# The third group of a UUID begins with its version; the fourth with two bits that name the variant, 10.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def _uuid7(milliseconds: int, tail: bytes) -> str:
    time_digits, free = f"{milliseconds & ((1 << 48) - 1):012x}", tail.hex()
    return f"{time_digits[:8]}-{time_digits[8:]}-7{free[1:4]}-{_VARIANT[free[4]]}{free[5:8]}-{free[8:20]}"


def joined(*parts: str | int) -> bytes:
    """One text for one or more parts, another for any others: the separator is escaped where a part holds it."""
    text = "\x1f".join(map(str, parts))
    if "\x1e" not in text and text.count("\x1f") == len(parts) - 1:
        return text.encode()  # nothing to escape: nearly always
    return "\x1f".join(str(part).replace("\x1e", "\x1e0").replace("\x1f", "\x1e1") for part in parts).encode()


def derive_id(ts_event_ns: int, *cause: str | int) -> str:
    """A UUIDv7 whose time is the event's and whose free bits are the digest of `cause`, of one part or more."""
    digest = hashlib.blake2b(joined(*cause), digest_size=10).digest()
    return _uuid7(ts_event_ns // 1_000_000, digest)


def milliseconds_of(derived: str) -> int:
    """The time an id shows, in milliseconds since the epoch. Raises ValueError for what is no id."""
    return int(derived[:8] + derived[9:13], 16)


def derive_tag(*cause: str | int) -> str:
    """A broker tag: 20 characters of [0-9a-z] (Kite's limit, the strictest of the three), unique per cause."""
    number = int.from_bytes(hashlib.blake2b(joined(*cause), digest_size=12).digest(), "big")
    letters = []
    for _ in range(18):
        number, rest = divmod(number, 36)
        letters.append("0123456789abcdefghijklmnopqrstuvwxyz"[rest])
    return "tb" + "".join(letters)


def lock_key(pos_id: str) -> int:
    """The Postgres advisory-lock key of a position: the first eight bytes of the MD5 of `pos_id`, signed."""
    return int.from_bytes(hashlib.md5(pos_id.encode(), usedforsecurity=False).digest()[:8], "big", signed=True)


class IdSource(Protocol):
    """Fresh ids, for things without a cause inside the system (a session, an external command)."""

    def new_id(self) -> str: ...


class RandomIds:
    """UUIDv7 from the machine's clock and entropy."""

    def new_id(self) -> str:
        return _uuid7(time.time_ns() // 1_000_000, os.urandom(10))


class SequenceIds:
    """Ids 1, 2, 3 … in UUID form, for tests and single-process runs."""

    def __init__(self, start: int = 0) -> None:
        self._last = start

    def new_id(self) -> str:
        self._last += 1
        return _uuid7(self._last, self._last.to_bytes(10, "big"))
