"""Whether a strategy knows what it cannot know yet, and whether its warm-up is long enough. Pure.

    a day, whole            ─► decisions ─┐
    the same, cut off at k  ─► decisions ─┼─► up to k they are the same, or it looks ahead
    another future after k  ─► decisions ─┘
    twice the warm-up       ─► decisions    the same, or the warm-up is too short
    the same day again      ─► decisions    the same, or it remembers what came, draws or reads a clock

A strategy sees one candle at a time, so that it can only look ahead by what outlives an instance (a module's variable,
a file), or, compiled, by the rows of its batch. What reads the history's own file answers the same every time and is
not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradebus.contracts.records import Records
from tradebus.contracts.signals import Side
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.replay import as_candles, hours_of_each
from tradebus.strategies.opinions import AnyCompiled
from tradebus.strategies.protocol import Action, Candle, Context, Position, Strategy, StrategyParameters

_CUTS = (0.25, 0.5, 0.75, 0.95)
LOOKS_AHEAD, NOT_REPEATABLE, WARM_UP_TOO_SHORT = "looks_ahead", "not_repeatable", "warm_up_too_short"
_SIDES = {Action.ENTER_LONG: Side.LONG, Action.ENTER_SHORT: Side.SHORT}
Answer = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CheckedDay:
    """CANDLE records of the strategy's timeframe: `earlier` days' (twice the warm-up, where there is so much) and the
    day's own, ascending; the hours of any day."""

    symbol: str
    earlier: Records
    today: Records
    hours: SessionHours


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What was found first of a kind: the close of the candle, and what was decided on it each time."""

    kind: str
    ts_ns: int
    said: str


def suspicions(
    strategy: type[Strategy[Any]], parameters: StrategyParameters, days: Sequence[CheckedDay],
    compiled: type[AnyCompiled] | None = None,
) -> list[Suspicion]:  # fmt: skip
    """The first suspicion of each kind, none where the strategy may be trusted with these days."""
    found: dict[str, Suspicion] = {}
    for day in days:
        if not len(day.today):
            continue
        for one in (*_plain(strategy, parameters, day), *(_batch(compiled, parameters, day) if compiled else ())):
            found.setdefault(one.kind, one)
    return list(found.values())


def _plain(strategy: type[Strategy[Any]], parameters: StrategyParameters, day: CheckedDay) -> list[Suspicion]:
    earlier, today = as_candles(day.earlier), as_candles(day.today)
    warm = earlier[max(0, len(earlier) - strategy.WARMUP_CANDLES) :]
    longer = earlier[max(0, len(earlier) - 2 * strategy.WARMUP_CANDLES) :]

    def walk(warmed: Sequence[Candle], candles: Sequence[Candle]) -> list[Answer]:
        return _decisions(strategy(parameters), warmed, candles, day)

    whole, again, found = walk(warm, today), walk(warm, today), list[Suspicion]()
    # What draws or counts differs each time; what remembers differs once, when it has seen the day.
    found += _differing(NOT_REPEATABLE, today, again, walk(warm, today), "when it was asked again")
    found = found or _differing(LOOKS_AHEAD, today, again, whole, "when it had not seen the day before")
    if found:
        return found
    for share in _CUTS:
        cut = max(1, int(len(today) * share))
        found += _differing(LOOKS_AHEAD, today, whole, walk(warm, today[:cut]), "with nothing after it")
        other = [*today[:cut], *_mirrored(today[cut:], around=today[cut - 1].close_paise)]
        found += _differing(LOOKS_AHEAD, today, whole[:cut], walk(warm, other)[:cut], "with another future")
    if not found and len(longer) > len(warm):
        said = f"with {len(longer)} candles before the day in place of {len(warm)}"
        found += _differing(WARM_UP_TOO_SHORT, today, whole, walk(longer, today), said)
    return found


def _decisions(
    strategy: Strategy[Any], warm: Sequence[Candle], candles: Sequence[Candle], day: CheckedDay
) -> list[Answer]:
    """What it decides on each candle of the day, with a position from its entry's candle to its exit's."""
    answers: list[Answer] = []
    try:
        if not strategy.warm_up(warm):
            for candle in warm:
                strategy.on_candle(candle, _context(candle, day, None, warming_up=True))
        position: Position | None = None
        for candle in candles:
            decision = strategy.on_candle(candle, _context(candle, day, position, warming_up=False))
            answers.append(
                (decision.action, decision.reason, decision.stop_paise, decision.target_paise, decision.confidence)
            )
            if decision.action in _SIDES and position is None:
                position = Position("check", _SIDES[decision.action], 1, candle.close_paise, candle.ts_close_ns)
            elif decision.action is Action.EXIT:
                position = None
    except Exception as error:  # noqa: BLE001 -- the user's code may raise anything; it raises at the same candle again
        answers.append(("raised", f"{type(error).__name__}: {error}"))
    return answers


def _context(candle: Candle, day: CheckedDay, position: Position | None, *, warming_up: bool) -> Context:
    open_ns, close_ns = day.hours.of(candle.ts_open_ns) or (candle.ts_open_ns, candle.ts_close_ns)
    return Context(day.symbol, position, open_ns, close_ns, None, warming_up)


def _batch(compiled: type[AnyCompiled], parameters: StrategyParameters, day: CheckedDay) -> list[Suspicion]:
    """The opinions of a batch, whole and cut off."""
    warm = day.earlier[max(0, len(day.earlier) - compiled.WARMUP_CANDLES) :]
    rows = np.concatenate((warm, day.today))

    opens_ns, closes_ns = hours_of_each(rows, day.hours)

    def opinions(count: int) -> list[Answer]:
        found = compiled(parameters, slots=1).on_candles(
            np.zeros(count, np.int64), rows[:count], opens_ns=opens_ns[:count], closes_ns=closes_ns[:count]
        )
        return [tuple(one) for one in found[len(warm) :].tolist()]

    whole, candles, found = opinions(len(rows)), as_candles(day.today), list[Suspicion]()
    for share in _CUTS:
        cut = len(warm) + max(1, int(len(day.today) * share))
        found += _differing(LOOKS_AHEAD, candles, whole, opinions(cut), "with nothing after it (compiled)")
    return found


def _differing(
    kind: str, candles: Sequence[Candle], one: Sequence[Answer], other: Sequence[Answer], how: str
) -> list[Suspicion]:
    """As far as both go; NaN is like NaN."""
    for candle, before, after in zip(candles, one, other, strict=False):
        if repr(before) != repr(after):
            said = f"{_worded(before)} on the whole day, {_worded(after)} {how}"
            return [Suspicion(kind, candle.ts_close_ns, said)]
    return []


def _worded(answer: Answer) -> str:
    if isinstance(answer[0], Action):
        return f"{answer[0].value} ({answer[1]})"
    return f"{answer[0]} ({answer[1]})" if answer[0] == "raised" else "one opinion"


def _mirrored(candles: Sequence[Candle], *, around: int) -> list[Candle]:
    """Another future that is as likely, never at or below zero."""
    return [
        Candle(
            one.ts_open_ns, one.ts_close_ns, max(2, 2 * around - one.open_paise), max(3, 2 * around - one.low_paise),
            max(1, 2 * around - one.high_paise), max(2, 2 * around - one.close_paise), one.volume,
        )
        for one in candles
    ]  # fmt: skip
