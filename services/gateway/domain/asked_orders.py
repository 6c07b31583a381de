"""What a person's order says (PLACE_MANUAL, CLOSE_POSITION), what a program's signal (SIGNAL), and whose id it has.

Invariants (property-tested): any tree of JSON values gives an order or at least one problem, and no exception; the same
order under the same key is the same signal, whenever it is asked for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.gateway.domain.problems import Problems, kind_of
from services.gateway.domain.values import money_paise
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.signals import PROGRAMS, Side
from tradebus.kernel.errors import nearest
from tradebus.kernel.ids import derive_id

SOURCE = re.compile(r"[a-z][a-z0-9_]{0,31}")
LOTS_MAX = 1_000_000
_MAX_ID, _MAX_SYMBOL, _MAX_REASON, _MAX_WHO = 64, 64, 200, 64
_ENTRY = ("symbol", "side", "stop", "target", "price", "lots", "reason", "by")
_CLOSE = ("pos_id", "reason", "by")


@dataclass(frozen=True, slots=True)
class EntryAsked:
    """A position that is asked for: at the last price and sized by the session, where price and lots are not given."""

    instrument: Instrument
    side: Side
    stop_paise: int
    target_paise: int | None
    price_paise: int | None
    lots: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class CloseAsked:
    """A position that is to be closed."""

    pos_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProgramEntry:
    """A program asks for a position."""

    source: str
    entry: EntryAsked


@dataclass(frozen=True, slots=True)
class ProgramExit:
    """A program asks that its position in a symbol be closed."""

    source: str
    symbol: str
    reason: str


def read_entry(
    data: Mapping[str, Any], instruments: InstrumentMaster, problems: Problems, *, also: tuple[str, ...] = ()
) -> EntryAsked | None:
    """None after adding to `problems`. `also` are fields that others read."""
    before = len(problems.errors)
    problems.unknown_keys("data", data, (*_ENTRY, *also))
    instrument = read_symbol(data.get("symbol"), instruments, problems)
    side = _side(data.get("side"), problems)
    stop = money_paise(data.get("stop"), at="data.stop", problems=problems, required=True)
    target = money_paise(data.get("target"), at="data.target", problems=problems)
    price = money_paise(data.get("price"), at="data.price", problems=problems)
    lots = _lots(data.get("lots"), problems)
    reason = read_reason(data, problems)
    if len(problems.errors) > before or instrument is None or side is None or stop is None:
        return None
    return EntryAsked(instrument, side, stop, target, price, lots, reason)


def read_close(data: Mapping[str, Any], problems: Problems) -> CloseAsked | None:
    """None after adding to `problems`."""
    before = len(problems.errors)
    problems.unknown_keys("data", data, _CLOSE)
    pos_id = data.get("pos_id")
    if not isinstance(pos_id, str) or not 0 < len(pos_id) <= _MAX_ID:
        problems.add("data.pos_id", f"must be the id of a position, 1 to {_MAX_ID} characters: /api/portfolio has it")
    reason = read_reason(data, problems)
    return None if len(problems.errors) > before else CloseAsked(str(pos_id), reason)


def read_program(
    data: Mapping[str, Any], instruments: InstrumentMaster, problems: Problems
) -> ProgramEntry | ProgramExit | None:
    """What a SIGNAL says: `do` is ENTER, with the fields of an order, or EXIT with a symbol. None after adding to
    `problems`."""
    before = len(problems.errors)
    source = data.get("source")
    if not isinstance(source, str) or not SOURCE.fullmatch(source):
        problems.add("data.source", "must be the name of the program that signals: 1 to 32 of a-z, 0-9 and _")
    asked: ProgramEntry | ProgramExit | None = None
    match data.get("do"):
        case "ENTER":
            entry = read_entry(data, instruments, problems, also=("source", "do"))
            asked = None if entry is None else ProgramEntry(str(source), entry)
        case "EXIT":
            problems.unknown_keys("data", data, ("source", "do", "symbol", "reason", "by"))
            instrument, reason = read_symbol(data.get("symbol"), instruments, problems), read_reason(data, problems)
            asked = None if instrument is None else ProgramExit(str(source), instrument.symbol, reason)
        case _:
            problems.add("data.do", "must be ENTER or EXIT")
    return None if len(problems.errors) > before else asked


@dataclass(frozen=True, slots=True)
class WordGiven:
    """A person's word on an entry that waits."""

    approval_id: str
    by: str
    reason: str


def read_word(data: Mapping[str, Any], problems: Problems) -> WordGiven | None:
    """What APPROVE_ENTRY and REFUSE_ENTRY say: on what, by whom, and why. None after adding to `problems`."""
    before = len(problems.errors)
    problems.unknown_keys("data", data, ("approval_id", "by", "reason"))
    approval_id = data.get("approval_id")
    if not isinstance(approval_id, str) or not 0 < len(approval_id) <= _MAX_ID or not approval_id.isprintable():
        problems.add("data.approval_id", "must be the id under which an entry waits: /api/approvals has it")
    if "by" not in data:
        problems.add("data.by", "is missing: who lets it in, or refuses it")
    by = _text(data.get("by", "-"), "data.by", _MAX_WHO, problems)
    reason = _text(data.get("reason", "by hand"), "data.reason", _MAX_REASON, problems)
    return None if len(problems.errors) > before else WordGiven(str(approval_id), by, reason)


def program_strategy(source: str) -> str:
    """The strategy that a program's positions belong to."""
    return f"{PROGRAMS}{source}"


def read_symbol(value: Any, instruments: InstrumentMaster, problems: Problems) -> Instrument | None:
    """The instrument that a name or an alias means; None after adding to `problems`."""
    if not isinstance(value, str):
        problems.add("data.symbol", "is missing" if value is None else f"must be text, not {kind_of(value)}")
    elif value[:_MAX_SYMBOL] not in instruments:
        near = nearest(value[:_MAX_SYMBOL], instruments.names())
        problems.add("data.symbol", f"unknown symbol{near}: the feed does not follow it")
    else:
        return instruments.find(value[:_MAX_SYMBOL])
    return None


def read_reason(data: Mapping[str, Any], problems: Problems) -> str:
    """Why, and by whom where that is said, in one text."""
    unsaid = "signal" if "do" in data else "by hand"
    reason = _text(data.get("reason", unsaid), "data.reason", _MAX_REASON, problems)
    if "by" not in data:
        return reason
    return f"{_text(data['by'], 'data.by', _MAX_WHO, problems)}: {reason}"


def signal_id(kind: str, *, user_id: str, source: str, key: str) -> str:
    """Of what is asked for under a key: there is one for each, and no time in it."""
    return derive_id(0, kind, source, user_id, key)


def _side(value: Any, problems: Problems) -> Side | None:
    names = [side.value for side in Side]
    if isinstance(value, str) and value in names:
        return Side(value)
    problems.add("data.side", f"must be {' or '.join(names)}: which way the position goes")
    return None


def _lots(value: Any, problems: Problems) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LOTS_MAX):
        problems.add("data.lots", f"must be a whole number of lots, 1 to {LOTS_MAX:,}; without it the session sizes it")
        return None
    return value


def _text(value: Any, at: str, most: int, problems: Problems) -> str:
    if not isinstance(value, str):
        problems.add(at, f"must be text, not {kind_of(value)}")
    elif not value.strip() or len(value) > most or not value.isprintable():
        problems.add(at, f"must be 1 to {most} printable characters")
    return str(value)
