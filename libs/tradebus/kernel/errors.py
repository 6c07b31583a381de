"""Errors that a person can act on.

`TradebusError` is the only exception whose text is shown to a user as it stands: it names the field, file, row or
symbol and says what to do. Everything else is a defect and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class TradebusError(Exception):
    """A condition the user can mend. `exit_code` is what the CLI leaves with."""

    exit_code = 1


class InvalidInput(TradebusError):
    """Something from outside is malformed: a command, a file, an option."""

    exit_code = 2


class Unavailable(TradebusError):
    """A server that tradebus needs does not answer."""

    exit_code = 3


class IllegalTransition(Exception):
    """A state machine was asked for a pair its table does not list. Always a defect, never a user's mistake."""


def nearest(name: str, valid: Iterable[str], *, likeness: float = 0.5) -> str:
    """Returns " (did you mean X?)" for the nearest valid name, or "" where none is near. For error texts.

    `likeness` is what counts as near, up to 1: short names that mean different things are much like each other.
    """
    options = list(valid)
    matches = get_close_matches(name.upper(), [option.upper() for option in options], n=1, cutoff=likeness)
    found = [option for option in options if matches and option.upper() == matches[0]]
    return f" (did you mean {found[0]!r}?)" if found else ""
