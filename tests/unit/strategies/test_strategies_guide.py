"""Every example in the guide works on generated data, as the guide says."""

import csv
import re
from collections import Counter
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from testkit.engine import market_of, session
from testkit.histories import write_option_history
from testkit.strategy_days import Market, generated_days, of_timeframe

from services.cli.runs.backtesting import BacktestRequest, run_backtest
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies import registry
from tradebus.strategies.lane.asking import Asking
from tradebus.strategies.lane.decisions import Source
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.positions import PositionBook, PositionKey
from tradebus.strategies.lane.sessions import ActiveSessions, open_session
from tradebus.strategies.lane.shared import Shared, SharedRunner, compiled_info
from tradebus.strategies.market_views import Chain, ChainOption, ChainStrike, Level, Quote
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters
from tradebus.strategies.registry import validate_strategy
from tradebus.strategies.roles import Offered

GUIDE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def instrument(number: int, symbol: str, kind: Any, underlying: str, expiry: date | None = None) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind=kind, market_class="index", underlying=underlying, tick_size_paise=5,
        expiry=expiry,
    )  # fmt: skip


INSTRUMENTS = InstrumentMaster(
    [
        instrument(0, "NIFTY", "INDEX", "NIFTY"),
        instrument(1, "NIFTY24JANFUT", "FUTURE", "NIFTY", date(2024, 1, 25)),
        instrument(2, "INDIA VIX", "INDEX", "INDIA VIX"),
    ]
)


def test_the_guide_has_the_examples_that_are_tried_here():
    assert len(EXAMPLES) == 6  # the first one is tried with the examples in files


def test_several_symbols_and_timeframes(tmp_path):
    (tmp_path / "guide.py").write_text(EXAMPLES[1])
    wanted = StrategySpec(name="guide", path=str(tmp_path / "guide.py"))
    assert validate_strategy(wanted).NAME == "with_the_index"
    spec = SessionSpec(
        session_id="s", user_id="u", symbols=("NIFTY24JANFUT",), strategies=(wanted,), capital_paise=1
    )  # fmt: skip
    active = ActiveSessions()
    active.add(open_session(spec, instruments=INSTRUMENTS, book=PositionBook(), paused=False, day=date(2024, 1, 2)))
    (runner,) = active.all()[0].runners
    rows: list[tuple[int, ...]] = []
    for number, start_paise in ((0, 2_100_000), (1, 2_105_000), (2, 1_900)):
        day = generated_days(1, seed=3, start_paise=start_paise)[0]
        for seconds in (300, 900):
            rows += [
                (c.ts_open_ns, c.ts_close_ns, c.open_paise, c.high_paise, c.low_paise, c.close_paise, c.volume, 0,
                 number, seconds, 0, 0)
                for c in of_timeframe(day, seconds // 60).candles
            ]  # fmt: skip
    actions: Counter[Action] = Counter()
    for candle, listener in active.hear(rows):
        if runner.needs_rebuild(candle.ts_open_ns):
            assert runner.rebuild(candle.ts_open_ns, ()) is None
        if listener.series is not None:
            assert runner.on_input(candle, listener.series) is None
        elif (settled := runner.on_candle(candle, paused=False)) is not None:
            assert not settled.decision.reason.startswith("strategy_error")
            actions[settled.decision.action] += 1
    assert actions[Action.HOLD] > 20
    assert actions[Action.ENTER_LONG] > 0


def test_legs_of_one_idea(tmp_path, capsys):
    (tmp_path / "guide.py").write_text(EXAMPLES[3])
    days = (date(2024, 1, 1), date(2024, 1, 2))
    write_option_history(tmp_path / "bars.csv", days, expiries=["24104"], seed=3)
    data = {"strategies": [{"name": "call_spread", "path": str(tmp_path / "guide.py")}], "capital": 4_000_000}
    limits = {"cooldown_seconds": 0, "max_slippage_pct": 5}
    run_backtest(
        BacktestRequest(
            history=tmp_path / "bars.csv", stored=None, symbols=(), from_date=days[1], to_date=None, seed=1,
            users={"asha": {**data, "limits": limits}}, trades=tmp_path / "trades.csv", json=True,
        )
    )  # fmt: skip
    assert '"decision_log_hash"' in capsys.readouterr().out
    with (tmp_path / "trades.csv").open(newline="") as file:
        trades = list(csv.DictReader(file))
    by_group = Counter(row["group_id"] for row in trades)
    assert set(by_group.values()) == {2}
    assert "" not in by_group
    assert {row["side"] for row in trades} == {"LONG", "SHORT"}
    assert {row["exit_reason"] for row in trades} <= {"exit_signal", "stop", "target", "hard_trading_end"}
    assert "exit_signal" in {row["exit_reason"] for row in trades}


def test_opinions_for_every_session():
    module = ModuleType("guide_opinions")
    exec(EXAMPLES[4], module.__dict__)
    strategy = module.AboveAverage
    shared = Shared(strategy, StrategyParameters())
    days = [of_timeframe(day, 5) for day in generated_days(2, seed=5)]
    markets, runners = [Market(), Market()], []
    for number, market in enumerate(markets):
        key = PositionKey(f"s{number}", strategy.NAME, "X")
        asking = Asking(
            Source(key, "u", 0), compiled_info(strategy), hours=SessionHours(INSTRUMENTS.find("NIFTY")),
            position_at=lambda ts_ns, market=market: market.position,
        )  # fmt: skip
        runners.append(SharedRunner(asking, shared))
        runners[-1].rebuild(days[1].open_ns, days[0].candles[-strategy.WARMUP_CANDLES :])
    decided: list[list[Decision]] = [[], []]
    for candle in days[1].candles:
        for number, runner in enumerate(runners):
            markets[number].supervise(candle)
            settled = runner.on_candle(candle, paused=False)
            assert settled is not None
            decided[number].append(settled.decision)
            if number == 0:  # the other session's entries are never filled
                markets[0].act(candle, settled.decision)
    filled, unfilled = (Counter(one.action for one in each) for each in decided)
    assert {Action.ENTER_LONG, Action.EXIT, Action.HOLD} == set(filled)
    assert Action.EXIT not in unfilled
    assert any(one.reason.startswith("trade_locked: close above EMA") for one in decided[1])


def test_opinions_that_name_legs(tmp_path):
    module = ModuleType("guide_legs")
    exec(EXAMPLES[5], module.__dict__)
    strategy = module.MorningStraddle
    days = (date(2024, 1, 1), date(2024, 1, 2))
    call, _, put, _ = write_option_history(tmp_path / "bars.csv", days, expiries=["24104"], seed=3)
    market, master = market_of(tmp_path / "bars.csv", from_date=days[1])
    plain = type("Plain", (Strategy,), {"NAME": strategy.NAME, "PARAMETERS": strategy.PARAMETERS})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_IN, strategy.NAME, plain)
        patch.setitem(registry.COMPILED, strategy.NAME, strategy)
        engine = Engine(
            [session("asha", ("NIFTY",), (strategy.NAME,), max_slippage_pct=5.0)], master,
            history=MinuteHistory(market.minutes), settings=EngineSettings(), first_day=days[1],
        )  # fmt: skip
        assert [day.day for day in engine.run(market.days([60]))] == [days[1]]
    assert sorted(row[3] for row in engine.record.fills if row[4] == "ENTRY") == [call, put]
    acted = [row[4:6] for row in engine.record.decisions.rows() if row[4] != "HOLD"]
    assert acted[0] == ("ENTER_LEGS", "half an hour after the open")
    assert acted[1:] in ([], [("EXIT", "late")])


class Seen:
    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.chain: Chain | None = None

    def quote_of(self, instrument: int, ts_ns: int) -> Quote | None:
        return self.quote

    def chain_of(self, instrument: int, ts_ns: int) -> Chain | None:
        return self.chain


def test_depth_and_the_option_chain(tmp_path):
    (tmp_path / "guide.py").write_text(EXAMPLES[2])
    wanted = StrategySpec(name="guide", path=str(tmp_path / "guide.py"))
    spec = SessionSpec(session_id="s", user_id="u", symbols=("NIFTY24JANFUT",), strategies=(wanted,), capital_paise=1)
    with pytest.raises(InvalidInput, match="this history has no depth"):
        open_session(spec, instruments=INSTRUMENTS, book=PositionBook(), paused=False)
    seen, offered = Seen(), Offered("feed kite", frozenset({"NIFTY24JANFUT"}), frozenset({"NIFTY"}))
    session = open_session(
        spec, instruments=INSTRUMENTS, book=PositionBook(), paused=False, offered=offered, seen=seen
    )  # fmt: skip
    (runner,), (first, second, *_) = session.runners, generated_days(1, seed=3)[0].candles
    assert runner.rebuild(first.ts_open_ns, ()) is None
    before = runner.on_candle(first, paused=False)
    assert before is not None
    assert before.decision.reason == "nothing_seen_yet"
    option = ChainOption(1, 1, 1, 1, 100, 1, None)
    seen.chain = Chain("NIFTY", date(2024, 1, 25), 0, (ChainStrike(2_100_000, option, option),))
    seen.quote = Quote(0, 1, 1, (Level(1, 200, 1),), (Level(2, 100, 1),), None, None, None, None, None)
    after = runner.on_candle(second, paused=False)
    assert after is not None
    assert (after.decision.action, after.decision.reason) == (Action.ENTER_LONG, "buyers stand deeper")
