"""What a journal's rows look like in its file.

Instants are Indian time with their offset, money is rupees with two decimals, and the columns say so by their names:
`placed_ns` in the book is `placed` in the file, `price_paise` is `price_rupees`. Lines of JSON are messages as they
were published, unchanged.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from tradebus.kernel.time import ist_datetime

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JournalFile:
    """`query` is the name of its statement in journals.sql."""

    file: str
    query: str
    what: str

    @property
    def is_table(self) -> bool:
        return self.file.endswith(".csv")


JOURNALS: Mapping[str, JournalFile] = {
    "orders": JournalFile("orders.csv", "orders", "every order with how it stands"),
    "fills": JournalFile("fills.csv", "fills", "every fill"),
    "signals": JournalFile("signals.csv", "signals", "every decision of a strategy with its reason, HOLD too"),
    "trades": JournalFile("trades.csv", "trades", "every position that was opened, with what it came to"),
    "events": JournalFile("events.jsonl", "events", "every message that the services stored"),
    "signal-lines": JournalFile("signal.jsonl", "signal_lines", "signals to enter and leave, as they were published"),
    "arm-lines": JournalFile("arm.jsonl", "arm_lines", "signals that arm, as they were published"),
}


def writer_of(journal: JournalFile, columns: Sequence[str], to: TextIO) -> Callable[[Row], None]:
    """Writes one row. A table has its header even where nothing follows it."""
    if not journal.is_table:
        return lambda row: print(_line(row["body"]), file=to)
    named = [_column(name) for name in columns]
    table = csv.writer(to, lineterminator="\n")
    table.writerow([name for name, _ in named])
    return lambda row: table.writerow([make(row[column]) for column, (_, make) in zip(columns, named, strict=True)])


def _line(body: Any) -> str:
    return json.dumps(body if not isinstance(body, str | bytes) else json.loads(body), ensure_ascii=False)


def _column(name: str) -> tuple[str, Callable[[Any], Any]]:
    if name == "ts_event_ns":
        return "time", _instant
    if name.endswith("_ns"):
        return name.removesuffix("_ns"), _instant
    if name.endswith("_paise"):
        return f"{name.removesuffix('_paise')}_rupees", _rupees
    return name, _plain


def _instant(value: int | None) -> str:
    return "" if value is None else ist_datetime(value).isoformat(timespec="milliseconds")


def _rupees(value: int | None) -> str:
    if value is None:
        return ""
    sign, paise = "-" if value < 0 else "", abs(value)
    return f"{sign}{paise // 100}.{paise % 100:02d}"


def _plain(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is made one it shows."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return "" if value is None else value
