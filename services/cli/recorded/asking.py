"""What a recorded run decided at an instant, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from services.cli.recorded.folder import JOURNALS_KEPT, RecordedRun
from services.cli.recorded.saving import DECISIONS_FILE, TRADES_FILE, VERDICTS_FILE, days_of
from services.cli.recorded.tables import all_rows, rows_at
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_datetime, ist_midnight_ns, ist_to_ns

_MINUTE_NS: Final = 60 * NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Explanation:
    """`decisions`: of each strategy and user the newest of the day before the minute asked for has ended; `verdicts`
    of that minute and of those decisions' instants; `trades` that were open at some time of the minute."""

    run: int
    symbol: str
    ts_ns: int
    decisions: Sequence[Mapping[str, Any]]
    verdicts: Sequence[Mapping[str, Any]]
    trades: Sequence[Mapping[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {
            "command": "why", "run": self.run, "symbol": self.symbol, "time": ist_datetime(self.ts_ns).isoformat(),
            "decisions": [_timed(one) for one in self.decisions],
            "verdicts": [_timed(one) for one in self.verdicts],
            "trades": [dict(one) for one in self.trades],
        }  # fmt: skip

    def lines(self) -> list[str]:
        said = [f"run {self.run}, {self.symbol} at {_when(self.ts_ns)}"]
        for one in self.decisions:
            before = "" if one["ts_event_ns"] >= self.ts_ns else " (the newest before)"
            price = format_rupees(one["price_paise"])
            said.append(
                f"{one['user_id']} {one['strategy']}: {one['action']} at {_when(one['ts_event_ns'])}{before}, "
                f"price {price}: {one['reason']}"
            )
        if not self.decisions:
            said.append("no strategy had decided anything on it by then that day")
        for one in self.verdicts:
            quantity = "" if one["quantity"] is None else f" {one['quantity']:,}"
            detail = f": {one['detail']}" if one["detail"] else ""
            said.append(
                f"risk, {one['user_id']} {one['strategy']}: {one['verdict']}{quantity} by {one['rule']} at "
                f"{_when(one['ts_event_ns'])}{detail}"
            )
        for one in self.trades:
            entry = format_rupees(one["entry_value_paise"] // one["entry_quantity"])
            left = "open to the end" if one["closed_ns"] is None else f"closed {_when(one['closed_ns'])}"
            why = f" by {one['exit_reason']}" if one["exit_reason"] else ""
            said.append(
                f"held: {one['user_id']} {one['strategy']} {one['side']} {one['entry_quantity']:,} from "
                f"{_when(one['opened_ns'])} at {entry}, {left}{why}"
            )
        return said


def asked_instant(run: RecordedRun, text: str) -> int:
    """`2024-01-02T10:15`, IST where it has no offset; `10:15` in a run of one day. Raises InvalidInput."""
    days = days_of(run)
    try:
        if "-" not in text:
            if len(days) != 1:
                raise InvalidInput(f"TIME {text!r}: run {run.number} has {len(days)} days: write 2024-01-02T{text[:5]}")
            return ist_to_ns(days[0], time.fromisoformat(text))
        asked = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"TIME {text!r}: not a time; write 2024-01-02T10:15") from error
    if asked.tzinfo is None:
        ts_ns = ist_to_ns(asked.date(), asked.time())
    else:
        ts_ns = int(asked.timestamp()) * NANOSECONDS_PER_SECOND + asked.microsecond * 1_000
    _require_day(run, ist_date(ts_ns), days)
    return ts_ns


def asked_symbol(run: RecordedRun, text: str) -> str:
    """Raises InvalidInput for one that the run does not have, with the nearest."""
    symbols = [str(one) for one in run.facts["figures"].get("symbols", ())]
    for one in symbols:
        if one.upper() == text.strip().upper():
            return one
    raise InvalidInput(
        f"SYMBOL {text[:80]!r}: run {run.number} has no such symbol{nearest(text[:80], symbols)}; it has "
        f"{', '.join(symbols[:20])}"
    )


def explained(run: RecordedRun, *, symbol: str, ts_ns: int) -> Explanation:
    """Raises InvalidInput where the run's decisions are no longer kept or cannot be read."""
    decisions = run.folder / DECISIONS_FILE
    if not decisions.exists():
        raise InvalidInput(
            f"run {run.number}: its decisions are no longer kept (those of the newest {JOURNALS_KEPT} runs are): "
            "make the run again"
        )
    end_ns = ts_ns + _MINUTE_NS
    rows = rows_at(decisions, symbol=symbol, from_ns=ist_midnight_ns(ts_ns), to_ns=end_ns)
    newest = {(one["user_id"], one["strategy"]): one for one in rows}
    found = [newest[key] for key in sorted(newest)]
    instants = {one["ts_event_ns"] for one in found}
    first_ns = min({ts_ns, *instants})
    verdicts = [
        one for one in rows_at(run.folder / VERDICTS_FILE, symbol=None, from_ns=first_ns, to_ns=end_ns)
        if one["symbol"] in (symbol, "") and (one["ts_event_ns"] >= ts_ns or one["ts_event_ns"] in instants)
    ]  # fmt: skip
    trades = [
        one for one in all_rows(run.folder / TRADES_FILE)
        if one["symbol"] == symbol and (one["opened_ns"] or 0) < end_ns
        and (one["closed_ns"] is None or one["closed_ns"] >= ts_ns)
    ]  # fmt: skip
    return Explanation(run.number, symbol, ts_ns, found, verdicts, trades)


def _require_day(run: RecordedRun, day: date, days: Sequence[date]) -> None:
    if day not in days:
        raise InvalidInput(f"TIME: run {run.number} did not trade {day}; it has {days[0]} to {days[-1]}")


def _timed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"time": ist_datetime(row["ts_event_ns"]).isoformat(), **row}


def _when(ts_ns: int) -> str:
    return f"{ist_datetime(ts_ns):%Y-%m-%d %H:%M:%S} IST"
