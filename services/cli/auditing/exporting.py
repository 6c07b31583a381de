"""`tradebus audit export`: rows by the time they were sent, as lines of JSON or CSV."""

import csv
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from services.cli.auditing.opening import opened_audit
from services.cli.journals.moments import window_ns
from services.cli.output import say
from tradebus.audit.chain import AuditRow
from tradebus.audit.exchange import BrokerExchange, ist_text
from tradebus.kernel.errors import InvalidInput

_PAGE = 2_000
FORMATS = ("jsonl", "csv")


async def run_export(
    *, from_text: str, to_text: str, form: str, out: Path | None, account: str | None, stack: str | None,
    namespace: str | None,
) -> None:  # fmt: skip
    """Writes to `out`, or to stdout. `to_text` is included where it is a day. Raises InvalidInput."""
    begin, end = (ist_text(moment_ns) for moment_ns in window_ns(from_text, to_text))
    if form not in FORMATS:
        raise InvalidInput(f"--format {form!r}: write one of {', '.join(FORMATS)}")
    count = 0
    async with opened_audit(stack=stack, namespace=namespace) as audit:
        with ExitStack() as files:
            write = _writer(form, sys.stdout if out is None else files.enter_context(_created(out)))
            last: AuditRow | None = None
            while rows := await audit.book.sent_between(begin, end, after=last, limit=_PAGE):
                for row in rows:
                    if account in (None, row.exchange.account):
                        write(row)
                        count += 1
                last = rows[-1]
    say(f"{count} rows")


def _created(path: Path) -> TextIO:
    try:
        return path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"--out {path}: cannot be written ({error.strerror})") from error


def _writer(form: str, to: TextIO) -> Callable[[AuditRow], None]:
    if form == "jsonl":
        return lambda row: print(json.dumps(_fields(row)), file=to)
    names = ["seq", *BrokerExchange.__slots__, "previous_hash", "hash"]
    table = csv.DictWriter(to, names)
    table.writeheader()
    return lambda row: table.writerow({name: _plain(value) for name, value in _fields(row).items()})


def _fields(row: AuditRow) -> dict[str, object]:
    return {"seq": row.seq, **asdict(row.exchange), "previous_hash": row.previous_hash, "hash": row.hash}


def _plain(value: object) -> object:
    """A text that a spreadsheet would take for a formula is made one it shows."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
