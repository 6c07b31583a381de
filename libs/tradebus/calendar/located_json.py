"""On which line of a JSON text each of its values stands, so that a refusal can say where.

Invariant (property-tested): the lines of a text's values are those at which a person sees them begin.
"""

import json
import re
from typing import Any

from tradebus.kernel.errors import InvalidInput

Path = tuple[str | int, ...]
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def parse_located(text: str, *, name: str) -> tuple[Any, dict[Path, int]]:
    """The value, and the line of every value by its path. Raises InvalidInput naming file and line for what is no JSON
    and for a key that an object has twice."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{name}, line {error.lineno}: not JSON: {error.msg.lower()}") from None
    except RecursionError:
        raise InvalidInput(f"{name}: nested too deeply") from None
    return value, _lines(text, name)


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of the value, or of the nearest that holds it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _lines(text: str, name: str) -> dict[Path, int]:
    """Of a text that is JSON. `place` holds the key or the index at which each open container stands."""
    found: dict[Path, int] = {}
    place: list[str | int] = []
    line, read_to, key_next = 1, 0, False
    for token in _TOKEN.finditer(text):
        line += text.count("\n", read_to, token.start())
        read_to, part = token.start(), token.group()
        if part in "}]":
            place.pop()
            key_next = False
        elif part == ",":
            key_next = isinstance(place[-1], str)
            if isinstance(place[-1], int):
                place[-1] += 1
        elif part == ":":
            key_next = False
        elif key_next:
            place[-1] = str(json.loads(part))
            if tuple(place) in found:
                raise InvalidInput(f"{name}, line {line}: {place[-1]!r} is there twice, first in line "
                                   f"{found[tuple(place)]}")  # fmt: skip
            found[tuple(place)] = line
        else:
            found.setdefault(tuple(place), line)
            if part in "{[":
                place.append("" if part == "{" else 0)
                key_next = part == "{"
    return found
