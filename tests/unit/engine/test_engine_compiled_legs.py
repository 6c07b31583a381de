"""Legs of a compiled strategy: services, the engine, and the engine with the plain twin come to the same."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.compiled_straddle import CALL, NAME, PUT, Straddle, StraddleLane
from testkit.engine import market_of, session
from testkit.histories import write_history, write_option_history
from testkit.one_process import run_services

from tradebus.contracts.sessions import PaperSettings, SessionSpec, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.strategies import registry
from tradebus.strategies.needs import Needs, Underlying
from tradebus.strategies.protocol import RoleLeg

DAYS = (date(2024, 1, 1), date(2024, 1, 2))
PARAMETERS = st.fixed_dictionaries(
    {
        "every_minutes": st.sampled_from([15, 45]),
        "exit_minutes": st.sampled_from([0, 8, 14]),
        "stop_pct": st.sampled_from([2.0, 30.0]),
        "target_pct": st.sampled_from([None, 3.0]),
        "alone": st.booleans(),
    }
)
PAPER = st.builds(
    PaperSettings, slippage_bps=st.sampled_from([0.0, 2.0]), partial_fill_probability=st.sampled_from([0.0, 1.0])
)  # fmt: skip


@contextmanager
def known(lane: type[StraddleLane] | None) -> Iterator[None]:
    """The strategy among the built-in ones; compiled, where there is a `lane`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_IN, NAME, Straddle)
        if lane is not None:
            patch.setitem(registry.COMPILED, NAME, lane)
        yield


def rows_of_engine(
    path: Path, sessions: list[SessionSpec], *, lane: type[StraddleLane] | None, slice_by_slice: bool = False
) -> dict[str, list[Any]]:
    market, master = market_of(path)
    with known(lane):
        engine = Engine(
            sessions, master, history=MinuteHistory(market.minutes), first_day=market.first_day,
            settings=EngineSettings(slice_by_slice=slice_by_slice),
        )  # fmt: skip
        for _ in engine.run(market.days(sorted(engine.strategies.timeframes_seconds))):
            pass
    return {kind: sorted(rows, key=repr) for kind, rows in engine.record.log_rows().items()}


@given(seed=st.integers(0, 10_000), parameters=PARAMETERS, paper=PAPER, concurrent=st.sampled_from([1, 2, 6]))
@settings(max_examples=6, deadline=None)
def test_services_engine_and_plain_twin_come_to_the_same(seed, parameters, paper, concurrent):
    strategies = (StrategySpec(name=NAME, parameters=parameters), StrategySpec(name="orb"))
    loose: dict[str, Any] = {
        "max_concurrent_trades": concurrent, "cooldown_seconds": 0, "max_trades_per_symbol_per_day": 50,
        "consecutive_losses_limit": None, "max_slippage_pct": 5.0, "paper": paper,
    }  # fmt: skip
    sessions = [session("asha", ("NIFTY",), strategies, **loose), session("ravi", ("NIFTY",), strategies[:1], **loose)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bars.csv"
        symbols = write_option_history(path, DAYS, expiries=["24104"], seed=seed, money=21_700)
        assert {CALL.symbol, PUT.symbol} <= set(symbols)
        with known(StraddleLane):
            services = asyncio.run(run_services(path, sessions, state_dir=Path(folder)))
        engine = rows_of_engine(path, sessions, lane=StraddleLane)
        slices = rows_of_engine(path, sessions, lane=StraddleLane, slice_by_slice=True)
        twin = rows_of_engine(path, sessions, lane=None)
    assert {row[4] for row in engine["decision"] if row[2] == NAME} >= {"ENTER_LEGS", "HOLD"}
    for kind, rows in engine.items():
        assert rows == twin[kind], kind
        assert rows == slices[kind], kind
        assert rows == sorted(services[kind], key=repr), kind


class OwnLeg(StraddleLane):
    """Its only leg is the symbol it hears anyway, so it hears no other series."""

    NEEDS = Needs(instruments=(Underlying(),))

    @property
    def leg_sets(self) -> tuple[tuple[RoleLeg, ...], ...]:
        return ((RoleLeg(Underlying(), Side.LONG, stop_pct=1.0),),) * 2


def test_legs_of_the_own_symbol_alone_are_traded_by_the_engine_as_slice_by_slice(tmp_path: Path) -> None:
    path = write_history(tmp_path / "bars.csv", ("NIFTY",), DAYS, seed=4)
    sessions = [session("asha", ("NIFTY",), (NAME,), max_concurrent_trades=5, cooldown_seconds=0)]
    runs = []
    for slice_by_slice in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Straddle, "NEEDS", OwnLeg.NEEDS)
            runs.append(rows_of_engine(path, sessions, lane=OwnLeg, slice_by_slice=slice_by_slice))
    assert runs[0] == runs[1]
    assert {row[4] for row in runs[0]["fill"]} >= {"ENTRY"}
