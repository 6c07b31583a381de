"""FLATTEN of a part of a session: what is meant leaves, and nothing of anybody else's, whatever the mixture."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import INDEX, INSTRUMENTS, OTHER, STOCK, at, command, entry, opened, situation, spec
from testkit.risk_service import Around

from tradebus.contracts.commands import Flatten, FlattenScope
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.risk import ExitApproved
from tradebus.contracts.sessions import StrategySpec
from tradebus.risk.commands import CommandKind
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_command, on_fact, on_signal
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import VerdictKind

FUTURE = Instrument(
    instrument_id=4, symbol="BANKNIFTY24JANFUT", kind="FUTURE", market_class="derivative", underlying="BANKNIFTY",
    lot_size=15, tick_size_paise=5,
)  # fmt: skip
KNOWN = {**INSTRUMENTS, FUTURE.instrument_id: FUTURE}
HELD = {
    "a": ("orb", STOCK), "b": ("ema", STOCK), "c": ("orb", OTHER), "d": ("ema", INDEX), "e": ("orb", FUTURE),
}  # fmt: skip


def now() -> Situation:
    of = spec(
        strategies=[StrategySpec(name="orb"), StrategySpec(name="ema")], max_concurrent_trades=10, max_exposure_pct=1.0
    )
    return replace(situation(of, data_ns=at("10:05") - 1), instruments=KNOWN)


def holding_all() -> RiskState:
    state = RiskState()
    for number, (pos_id, (strategy, instrument)) in enumerate(HELD.items()):
        what = opened(pos_id, instrument=instrument, strategy=strategy, ts_ns=at("10:00") + number)
        state = on_fact(state, what, now()).state
    return state


def left_by(scope: FlattenScope, state: RiskState | None = None) -> set[str]:
    told = replace(command(CommandKind.FLATTEN, ts_ns=at("10:05")), scope=scope)
    step = on_command(holding_all() if state is None else state, told, now())
    assert {one.rule for one in step.verdicts} <= {"flatten"}
    assert all(one.kind is VerdictKind.EXIT for one in step.verdicts)
    left = {str(one.pos_id) for one in step.verdicts}
    assert {key for key, one in step.state.holdings.items() if one.closing_rule is not None} == left
    return left


@pytest.mark.parametrize(
    ("scope", "meant"),
    [
        (FlattenScope(), {"a", "b", "c", "d", "e"}),
        (FlattenScope(strategy="orb"), {"a", "c", "e"}),
        (FlattenScope(symbol="SBIN"), {"a", "b"}),
        (FlattenScope(symbol="BANKNIFTY"), {"d", "e"}),
        (FlattenScope(symbol="BANKNIFTY24JANFUT"), {"e"}),
        (FlattenScope(strategy="ema", symbol="SBIN"), {"b"}),
        (FlattenScope(pos_id="c"), {"c"}),
        (FlattenScope(pos_id="z"), set()),
        (FlattenScope(strategy="rsi"), set()),
    ],
)
def test_what_is_meant_leaves_and_the_rest_stays(scope: FlattenScope, meant: set[str]) -> None:
    assert left_by(scope) == meant


def test_an_entry_in_flight_is_closed_when_it_opens_and_another_strategys_is_not() -> None:
    state, about = RiskState(), now()
    for pos_id, strategy in (("p1", "orb"), ("p2", "ema")):
        signal = entry(pos_id, strategy=strategy, ts_ns=at("10:05"), stop_paise=49_000)
        state = on_signal(state, signal, about).state
    told = replace(command(CommandKind.FLATTEN, ts_ns=at("10:05")), scope=FlattenScope(strategy="orb"))
    state = on_command(state, told, about).state
    found = {}
    for pos_id, strategy in (("p1", "orb"), ("p2", "ema")):
        step = on_fact(state, opened(pos_id, strategy=strategy, ts_ns=at("10:05:01")), about)
        found[pos_id] = [(one.kind, one.rule) for one in step.verdicts]
    assert found == {"p1": [(VerdictKind.EXIT, "flatten")], "p2": []}


_NAMES = st.sampled_from([None, "orb", "ema", "rsi"])
_SYMBOLS = st.sampled_from([None, "SBIN", "TCS", "BANKNIFTY", "BANKNIFTY24JANFUT", "X"])


@given(strategy=_NAMES, symbol=_SYMBOLS, pos_id=st.sampled_from([None, *HELD]))
def test_a_narrower_scope_never_closes_more(strategy: str | None, symbol: str | None, pos_id: str | None) -> None:
    left = left_by(FlattenScope(strategy=strategy, symbol=symbol, pos_id=pos_id))
    assert left == (
        left_by(FlattenScope(strategy=strategy))
        & left_by(FlattenScope(symbol=symbol))
        & left_by(FlattenScope(pos_id=pos_id))
    )


async def test_a_flatten_of_a_strategy_closes_its_positions_and_not_anothers(around: Around) -> None:
    await around.life()
    await around.session(spec(strategies=[StrategySpec(name="orb"), StrategySpec(name="ema")]))
    for strategy in ("orb", "ema"):
        own = {"strategy": strategy, "ts_ns": at("10:00")}
        await around.tell(entry(f"p-{strategy}", **own), opened(f"p-{strategy}", **own))
    await around.handled(await around.command(Flatten, "session-1", strategy="ema", symbol="SBIN"))

    async def leaving() -> list[tuple[str | None, str]]:
        return [(one.pos_id, one.rule) for one in await around.intents() if isinstance(one, ExitApproved)]

    assert await around.until(leaving) == [("p-ema", "flatten")]
