"""What goes over the pipe between a service and the process that runs a strategy file: frames of JSON.

    length (4 bytes, most significant first) ─► UTF-8 JSON, at most FRAME_BYTES_MAX

    ["open", path, name, parameters, cpu_seconds]
                                          ─► {"info": …} or {"refused": …, "problems": [[place, type, text], …]}
    ["ask", cpu_seconds, [step, …]]       ─► {"answers": [answer, …], "failures": [[runner, traceback], …]}

    step    ["make", runner] | [kind, runner, event, context, series, price_paise]
    kind    "candle" | "input" | "tick"; price_paise is null where no answer is wanted
    answer  null | ["decision", action, reason, stop, target, confidence, [leg, …]] | ["broken", text]
            | ["raised", text, traceback]
    leg     [role, side, stop, target, ratio, stop_pct, target_pct]; a role as in `Needs.as_json`

JSON and not pickle: what a user's process sends is data, and never makes the service run anything.
"""

import json
from typing import Any, BinaryIO

from tradebus.contracts.signals import Side
from tradebus.strategies.lane.asking import Ask, Asking, Settled
from tradebus.strategies.lane.decisions import checked
from tradebus.strategies.market_views import chain_as_json, chain_from_json, quote_as_json, quote_from_json
from tradebus.strategies.needs import Series, role_as_json, role_from_json
from tradebus.strategies.protocol import Action, Candle, Context, Decision, HeldLeg, Position, RoleLeg, Tick
from tradebus.strategies.raised import clean_text, in_words

FRAME_BYTES_MAX = 64 * 1024 * 1024
HEADER_BYTES = 4
TEXT_CHARACTERS_MAX = 8_000
_REASON_CHARACTERS_MAX = 2_000
_OPENING_BYTES_MAX = 1024 * 1024
_ANSWER_BYTES_MAX = 128 * 1024  # a text and a traceback, every character escaped
_NUMBER_SAID_MAX = 10**18
_ACTIONS = frozenset(action.value for action in Action)


def frame(value: Any) -> bytes:
    """Raises ValueError for what JSON cannot say, or what is too long."""
    body = json.dumps(value, separators=(",", ":")).encode()
    if len(body) > FRAME_BYTES_MAX:
        raise ValueError(f"{len(body)} bytes are more than one frame holds")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def length_of(header: bytes, *, most: int = FRAME_BYTES_MAX) -> int:
    """Raises ValueError for more than `most` bytes."""
    length = int.from_bytes(header, "big")
    if length > most:
        raise ValueError(f"a frame of {length} bytes")
    return length


def reply_bytes_max(steps: int) -> int:
    """What the answers to so many steps may take: reading more holds up whoever reads it."""
    return min(FRAME_BYTES_MAX, _OPENING_BYTES_MAX + steps * _ANSWER_BYTES_MAX)


def read_frame(stream: BinaryIO) -> Any:
    """The next frame's value; None where the other side is gone."""
    header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    return json.loads(stream.read(length_of(header)))


def step_of(ask: Ask, runner: int) -> list[Any]:
    """One question as a step."""
    event, context = ask.event, ask.context
    if isinstance(event, Tick):
        kind, fields = "tick", [event.ts_event_ns, event.price_paise, event.volume_cumulative]
    else:
        kind = "candle" if ask.series is None else "input"
        fields = [
            event.ts_open_ns, event.ts_close_ns, event.open_paise, event.high_paise, event.low_paise, event.close_paise,
            event.volume,
        ]  # fmt: skip
    held = None if context.position is None else _position_fields(context.position)
    legs = [
        [leg.role, leg.symbol, leg.instrument, leg.group_id, _position_fields(leg.position)] for leg in context.legs
    ]
    given = [
        context.symbol, held, context.session_open_ns, context.session_close_ns, context.put_call_ratio,
        context.warming_up, quote_as_json(context.quote), chain_as_json(context.chain), legs,
    ]  # fmt: skip
    series = None if ask.series is None else [ask.series.role, ask.series.symbol, ask.series.timeframe_seconds]
    return [kind, runner, fields, given, series, None if ask.moment is None else ask.moment.price_paise]


def ask_from(step: list[Any]) -> Ask:
    """The question a step says, without its moment: that is the asker's."""
    kind, _, fields, given, series, _ = step
    symbol, held, open_ns, close_ns, ratio, warming_up, quote, chain, legs = given
    context = Context(
        symbol, None if held is None else _position_from(held), open_ns, close_ns, ratio, warming_up,
        quote_from_json(quote), chain_from_json(chain),
        tuple(HeldLeg(role, name, number, group, _position_from(at)) for role, name, number, group, at in legs),
    )  # fmt: skip
    event: Candle | Tick = Tick(*fields) if kind == "tick" else Candle(*fields)
    return Ask(event, context, series=None if series is None else Series(*series))


def _position_fields(position: Position) -> list[Any]:
    return [
        position.pos_id, position.side.value, position.quantity, position.entry_price_paise, position.opened_ts_ns,
    ]  # fmt: skip


def _position_from(fields: list[Any]) -> Position:
    return Position(fields[0], Side(fields[1]), *fields[2:])


def read_json(body: bytes) -> Any:
    """What a user's process says, its texts as everybody else takes them: here they come in. Raises ValueError for what
    is no JSON."""
    text = body.decode()
    try:
        value = json.loads(text)
        # Only an escape can bring in what UTF-8 and JSON do not let through.
        return _clean(value) if "\\u" in text else value
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {clean_text(name): _clean(one) for name, one in value.items()}
    return value


def read_reply(body: bytes, steps: list[list[Any]]) -> tuple[list[Any], list[tuple[int, str]]]:
    """The answers to `steps` and what failed unasked. Raises ValueError, KeyError or TypeError for anything else."""
    value = read_json(body)
    answers, failures = value["answers"], [(int(number), said(trace)) for number, trace in value["failures"]]
    wanted = sum(1 for step in steps if step[0] != "make" and step[5] is not None)
    if not isinstance(answers, list) or len(answers) != wanted:
        raise ValueError(f"{wanted} answers are wanted")
    return answers, failures


def said(text: Any) -> str:
    """A text of a user's process, as much of it as is kept. Raises ValueError for what is none."""
    if not isinstance(text, str):
        raise ValueError("a text is wanted")
    return text[:TEXT_CHARACTERS_MAX]


def answer_fields(answer: Any, price_paise: int) -> list[Any] | None:
    """What a strategy said. An answer that could not count is said by its problem."""
    if answer is None:
        return None
    decision = checked(answer, price_paise)
    if isinstance(decision, str):
        return ["broken", decision[:_REASON_CHARACTERS_MAX]]
    return [
        "decision", decision.action.value, decision.reason[:_REASON_CHARACTERS_MAX], _number(decision.stop_paise),
        _number(decision.target_paise), decision.confidence, [_leg_fields(leg) for leg in decision.legs],
    ]  # fmt: skip


def _leg_fields(leg: RoleLeg) -> list[Any]:
    levels = _number(leg.stop_paise), _number(leg.target_paise)
    return [role_as_json(leg.role), leg.side.value, *levels, _number(leg.ratio), leg.stop_pct, leg.target_pct]


def _number(value: Any) -> Any:
    """A number that nobody has looked at yet, as JSON can say it: the other side finds out what is wrong with it."""
    if value is None or type(value) is float or (type(value) is int and abs(value) < _NUMBER_SAID_MAX):
        return value
    return in_words(value)


def settled_from(answer: Any, ask: Ask, asking: Asking, *, paused: bool) -> Settled | None:
    """What an answer counts for. A decision is checked again: the process may send anything."""
    match answer:
        case None:
            return asking.settled(ask, None, paused=paused)
        case ["decision", str(action), reason, stop_paise, target_paise, confidence, legs] if action in _ACTIONS:
            try:
                asked = tuple(_leg_from(*leg) for leg in legs)
            except (KeyError, TypeError, ValueError):
                return asking.refused(ask, "its process sent what is no leg")
            decision = Decision(Action(action), reason, stop_paise, target_paise, confidence, asked)
            return asking.settled(ask, decision, paused=paused)
        case ["broken", str(problem)]:
            return asking.refused(ask, said(problem))
        case ["raised", str(text), str(trace)]:
            return asking.raised(ask, said(text), failure=said(trace))
        case _:
            return asking.refused(ask, "its process sent what is no answer")


def _leg_from(role: Any, side: Any, *rest: Any) -> RoleLeg:
    stop_paise, target_paise, ratio, stop_pct, target_pct = rest
    return RoleLeg(role_from_json(role), Side(side), stop_paise, target_paise, ratio, stop_pct, target_pct)
