"""A session whose capital is gone halts, whatever halted it before, and enters nothing on later days."""

import csv
from datetime import date
from pathlib import Path

from testkit.engine import market_of, session
from testkit.histories import write_history
from testkit.risk import STOCK as SHARE
from testkit.risk import at, closed, entry, every_second, opened, situation, spec

from tradebus.contracts.sessions import StrategySpec
from tradebus.engine.engine import Engine, EngineSettings
from tradebus.engine.history import MinuteHistory
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep, on_fact, on_signal, on_ticks
from tradebus.risk.verdicts import VerdictKind

SMALL = spec(capital_paise=6_000_000, max_exposure_pct=1.0, max_leverage=5.0, risk_per_trade_pct=1.0,
             daily_max_loss_pct=None, consecutive_losses_limit=None)  # fmt: skip
LIMITED = spec(capital_paise=6_000_000, max_exposure_pct=1.0, max_leverage=5.0, risk_per_trade_pct=1.0,
               daily_max_loss_pct=10, consecutive_losses_limit=None)  # fmt: skip
STRATEGY = """
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters, hold


class Buys(Strategy[StrategyParameters]):
    NAME = "buys"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 0
    PARAMETERS = StrategyParameters

    def on_candle(self, candle, context):
        minutes = (candle.ts_close_ns - context.session_open_ns) // 60_000_000_000
        if context.position is None and minutes % 30 == 6:
            return Decision(Action.ENTER_LONG, "again", stop_paise=candle.close_paise // 100 * 99, confidence=0.6)
        return hold("nothing")
"""


def holding(now) -> RiskState:
    state = on_signal(RiskState(), entry(), now).state
    return on_fact(state, opened(quantity=200), now).state


def fallen(state: RiskState, price_paise: int, now, *, second: int = 5) -> RiskStep:
    start_ns = at(f"10:00:{second:02d}")
    return on_ticks(state, every_second(start_ns, SHARE, [price_paise]), now, end_ns=start_ns + 60_000_000_000)


def halts(step: RiskStep) -> list[str]:
    return [verdict.rule for verdict in step.verdicts if verdict.kind is VerdictKind.HALT]


def test_it_halts_where_there_is_no_limit_and_exactly_where_nothing_is_left() -> None:
    now = situation(SMALL)
    assert halts(fallen(holding(now), 20_005, now)) == []
    step = fallen(holding(now), 20_000, now)  # 200 shares bought at ₹500, of ₹60,000
    assert halts(step) == ["capital_gone"]
    assert step.state.halted_rule == "capital_gone"
    assert any(verdict.kind is VerdictKind.EXIT for verdict in step.verdicts)
    assert halts(fallen(step.state, 15_000, now, second=50)) == []  # once


def test_it_is_found_after_another_halt_too() -> None:
    now = situation(LIMITED)
    first = fallen(holding(now), 46_000, now)
    assert halts(first) == ["daily_max_loss_pct"]
    assert halts(fallen(first.state, 30_000, now, second=30)) == []
    gone = fallen(first.state, 19_000, now, second=30)
    assert halts(gone) == ["capital_gone"]
    # The exits that the first halt asked for are not asked for again.
    assert not [verdict for verdict in gone.verdicts if verdict.kind is VerdictKind.EXIT]


def test_it_survives_midnight() -> None:
    now = situation(SMALL)
    step = on_fact(holding(now), closed(net_pnl_paise=-6_000_001, quantity=200), now)
    assert halts(step) == ["capital_gone"]
    state = step.state
    for day in (date(2024, 1, 11), date(2024, 1, 12)):
        later = on_signal(state, entry(f"p{day}", ts_ns=at("10:00", day)), now)
        assert [(verdict.kind, verdict.rule) for verdict in later.verdicts] == [
            (VerdictKind.HALT, "capital_gone"), (VerdictKind.BLOCK, "capital_gone")
        ]  # fmt: skip
        state = later.state


def test_a_history_that_falls_by_sixty_per_cent_ends_the_trading_in_the_engine(tmp_path: Path) -> None:
    days = (date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 4))
    path = write_history(tmp_path / "bars.csv", ("RELIANCE",), days, seed=5)
    rows = list(csv.DictReader(path.open(newline="")))
    for row in rows:
        if row["ts"] >= "2024-01-02 09:22":
            row |= {name: f"{float(row[name]) * 0.4:.1f}" for name in ("open", "high", "low", "close")}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    buys = tmp_path / "buys.py"
    buys.write_text(STRATEGY)
    strategy = StrategySpec(name="buys", path=str(buys))
    found = {}
    for slice_by_slice in (False, True):
        market, master = market_of(path)
        one = session(
            "asha", ("RELIANCE",), (strategy,), capital_paise=100_000_000, max_leverage=5.0, max_exposure_pct=1.0,
            risk_per_trade_pct=5.0, daily_max_loss_pct=None, consecutive_losses_limit=None, cooldown_seconds=0,
        )  # fmt: skip
        engine = Engine(
            [one], master, history=MinuteHistory(market.minutes),
            settings=EngineSettings(slice_by_slice=slice_by_slice), first_day=market.first_day,
        )  # fmt: skip
        for _ in engine.run(market.days([60])):
            pass
        engine.finish()
        verdicts = list(engine.record.verdicts)
        trades = [trade.net_pnl_paise for trade in engine.record.trades.values() if trade.entry_quantity]
        assert len(trades) == 1
        assert (trades[0] or 0) < -100_000_000
        gone = [row for row in verdicts if row[4] == "HALT"]
        assert {row[5] for row in gone} == {"capital_gone"}
        assert len(gone) == len(days)  # each day once
        found[slice_by_slice] = (verdicts, trades)
    assert found[True] == found[False]
