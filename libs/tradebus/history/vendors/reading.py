"""What the trader says about his file, which overrules what would be recognised."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tradebus.kernel.errors import InvalidInput, nearest

ROLES = ("ts", "date", "time", "open", "high", "low", "close", "price", "volume", "open_interest", "symbol")
STAMPS = ("start", "end")
TEXT_ENDINGS = (".csv", ".txt", ".tsv", ".json")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+\-/]*")


@dataclass(frozen=True, slots=True)
class FileReading:
    """`columns`: the file's own column name by role. `timezone`: an IANA name, of times that carry none ("": Indian
    time). `stamps`: whether a bar's time is its start or its end ("": its start)."""

    columns: Mapping[str, str] = field(default_factory=dict)
    timezone: str = ""
    stamps: str = ""

    @property
    def is_said(self) -> bool:
        """Whether the trader said how a bar's or tick's columns or times are to be read."""
        return bool(self.columns or self.timezone or self.stamps)


def parse_reading(*, columns: str, timezone: str, stamps: str) -> FileReading:
    """From `ts=When,open=First`, `UTC` and `end`; each may be empty. Raises InvalidInput naming the option."""
    return FileReading(_columns(columns), _timezone(timezone.strip()), _stamps(stamps.strip().lower()))


def _columns(text: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, own = (piece.strip() for piece in part.partition("="))
        role = {"oi": "open_interest"}.get(role.lower(), role.lower())
        if not equals or not own or role not in ROLES:
            raise InvalidInput(
                f"--columns {part!r}: write what=its column, as ts=When,close=Last{nearest(role, ROLES)}; "
                f"what is one of {', '.join(ROLES)}"
            )
        if role in named:
            raise InvalidInput(f"--columns: {role} is named twice: name it once")
        named[role] = own
    return named


def _timezone(name: str) -> str:
    if not name or name.upper() == "IST":
        return "Asia/Kolkata" if name else ""
    try:
        if not _NAME.fullmatch(name):
            raise ValueError(name)
        return ZoneInfo(name).key
    except (OSError, ValueError, KeyError):
        raise InvalidInput(f"--timezone {name!r}: no such time zone: write IST, UTC or America/New_York") from None


def _stamps(word: str) -> str:
    if word and word not in STAMPS:
        raise InvalidInput(f"--stamps {word!r}: write start or end: which moment of a bar its time is")
    return word
