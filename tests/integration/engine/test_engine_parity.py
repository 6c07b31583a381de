"""One build: the same history, window, seed and parameters give the same run through six processes and the engine.

tradebus trade (processes, Redis, Postgres) ─┬─ one JSON object each ─► every figure equal, decision for decision
tradebus backtest (the engine)              ─┘
"""

import csv
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from testkit.histories import write_history, write_option_history

DAYS = (date(2024, 1, 1), date(2024, 1, 2))
EXAMPLES = Path(__file__).parents[3] / "examples" / "strategies"
EQUAL = (
    "decision_log_hash", "bars", "days", "decisions", "signals_by_type", "approvals", "reductions", "blocks_by_rule",
    "halts", "orders", "fills", "trades", "open_trades", "winners", "charges_paise", "net_pnl_paise",
)  # fmt: skip


def run(command: str, arguments: list[str], state: Path, servers: Any, *, conflicts: str = "") -> dict[str, Any]:
    done = _done(command, arguments, state, servers, conflicts=conflicts)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def refused(command: str, arguments: list[str], state: Path, servers: Any) -> str:
    """What is said of a run that cannot be, on one line."""
    done = _done(command, arguments, state, servers)
    assert done.returncode, done.stdout
    return " ".join(done.stderr.split())


def _done(
    command: str, arguments: list[str], state: Path, servers: Any, *, conflicts: str = "", silent: bool = True
) -> "subprocess.CompletedProcess[str]":
    urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "TRADEBUS_STATE_DIR": str(state)}
    if conflicts:
        urls["TRADEBUS_STRATEGY_CONFLICTS"] = conflicts
    more = ["--speed", "max"] if command == "trade" else []
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *["--silent"][:silent], command, "--json", *more, *arguments],
        env={**os.environ, **urls}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def trades_of(path: Path) -> list[dict[str, str]]:
    """Every trade with its prices, excursions and instants; ids differ from run to run."""
    with path.open(newline="") as file:
        rows = [{key: cell for key, cell in row.items() if not key.endswith("_id")} for row in csv.DictReader(file)]
    return sorted(rows, key=lambda row: (row["opened_utc"], row["strategy"], row["symbol"]))


def random_case(number: int) -> tuple[tuple[str, ...], list[str]]:
    """Symbols and options drawn from a number."""

    drawing = np.random.default_rng([7, number])

    def draw(choices: list[Any]) -> Any:
        return choices[int(drawing.integers(len(choices)))]

    symbols = draw([("BANKNIFTY",), ("NIFTY", "RELIANCE"), ("BANKNIFTY", "TCS", "INFY")])
    options = [
        "--strategy", "orb,ema_20_50", "--seed", str(draw([1, 7, 99])),
        "--param", f"orb.range_minutes={draw([5, 15, 30])}",
        "--param", f"orb.reward_multiple={draw([1, 2, 3])}",
        "--user", "asha", "--user", "ravi",
        "--limit", f"asha.max_concurrent_trades={draw([1, 3])}",
        "--limit", f"ravi.daily_max_loss={draw([2000, 8000])}",
        "--limit", f"cooldown_seconds={draw([0, 300])}",
        "--capital", str(draw([1_500_000, 4_000_000])),
    ]  # fmt: skip
    return symbols, options


# With the number of days.
CASES = {
    "random parameters 1": (*random_case(1), 2),
    "random parameters 4": (*random_case(4), 1),
    "a user's file": (("BANKNIFTY",), ["--strategy-file", str(EXAMPLES / "ema_pullback.py")], 1),
    "a strategy of ticks": (
        ("BANKNIFTY",),
        ["--strategy-file", str(EXAMPLES / "tick_threshold.py"), "--param", "every_ticks=700"],
        2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_six_processes_and_the_engine_are_one_build(name: str, tmp_path: Path, servers) -> None:
    symbols, options, days = CASES[name]
    history = write_history(tmp_path / "bars.csv", symbols, DAYS[:days], seed=len(name))
    arguments = ["--history", str(history), *options]
    rule = "highest_confidence" if "1" in name else ""
    processes = run("trade", arguments, tmp_path / "state", servers, conflicts=rule)
    more = ["--trades", str(tmp_path / "trades.csv")]
    engine = run("backtest", [*arguments, *more], tmp_path / "state", servers, conflicts=rule)
    assert {key: engine[key] for key in EQUAL} == {key: processes[key] for key in EQUAL}
    assert processes["decisions"] > 0
    assert trades_of(tmp_path / "trades.csv") == trades_of(Path(processes["run_dir"]) / "trades.csv")
    for one, other in zip(processes["sessions"], engine["sessions"], strict=True):
        assert {key: one[key] for key in EQUAL if key in one} == {key: other[key] for key in EQUAL if key in other}


def test_days_that_break_off_end_flat_in_both(tmp_path: Path, servers) -> None:
    history = write_history(tmp_path / "bars.csv", ("BANKNIFTY",), DAYS, seed=5, minutes=170)
    arguments = ["--history", str(history), "--strategy", "orb", "--paper", "--speed", "max"]
    processes = run("trade", arguments, tmp_path / "state", servers)
    engine = run("backtest", arguments, tmp_path / "state", servers)
    assert {key: engine[key] for key in EQUAL} == {key: processes[key] for key in EQUAL}
    assert processes["trades"] > 0
    assert processes["open_trades"] == 0


WANTING = """
from tradebus.strategies.needs import OPTIONAL, Needs
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters, hold


class Wanting(Strategy[StrategyParameters]):
    NAME = "wanting"
    PARAMETERS = StrategyParameters
    NEEDS = Needs({needs})

    def on_candle(self, candle, context):
        if context.warming_up or context.position or candle.close_paise % 3:
            return hold(f"{{context.quote}} {{context.chain}} {{context.put_call_ratio}} {{context.flow}}")
        return Decision(Action.ENTER_LONG, "a third", stop_paise=candle.close_paise * 99 // 100)
"""
REFUSED = {
    "quotes": "needs the depth of BANKNIFTY: this history has no depth: feed kite, dhan or upstox in full mode has",
    "chain": "needs the option chain of BANKNIFTY: this history has no such option chain: feed kite, dhan or upstox "
    "has",
    "flow": "needs the order flow of BANKNIFTY's future: this history has none, nor has another yet: the nearest there "
    "is: quotes",
}


def test_what_no_history_has_is_refused_alike_and_done_without_where_it_is_optional(tmp_path: Path, servers) -> None:
    history = write_history(tmp_path / "bars.csv", ("BANKNIFTY",), DAYS[:1], seed=5)
    file = tmp_path / "wanting.py"
    arguments = ["--history", str(history), "--strategy-file", str(file)]
    for needs, said in REFUSED.items():
        file.write_text(WANTING.format(needs=f"{needs}=True"))
        for command in ("trade", "backtest"):
            assert f"strategy 'wanting' {said}" in refused(command, arguments, tmp_path / "state", servers)
    file.write_text(WANTING.format(needs="quotes=OPTIONAL, chain=OPTIONAL, flow=OPTIONAL"))
    processes = run("trade", arguments, tmp_path / "state", servers)
    engine = run("backtest", arguments, tmp_path / "state", servers)
    assert {key: engine[key] for key in EQUAL} == {key: processes[key] for key in EQUAL}
    assert processes["signals_by_type"]["ENTRY_SIGNAL"] > 0


WRONG = """
import math
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters, hold


class Weird(BaseException):
    pass


class Wrong(Strategy[StrategyParameters]):
    NAME = "wrong"
    WARMUP_CANDLES = 0
    PARAMETERS = StrategyParameters
    count = 0

    def on_candle(self, candle, context):
        self.count += 1
        if self.count == 5:
            return "buy"
        if self.count in (6, 7):
            stop_paise = candle.close_paise * 2 if self.count == 6 else candle.close_paise * 0.99
            return Decision(Action.ENTER_LONG, "on the wrong side", stop_paise=stop_paise)
        if self.count == 9:
            raise Weird("no way")
        return hold("nothing")
"""


def test_a_strategy_that_is_wrong_is_told_in_the_same_words(tmp_path: Path, servers) -> None:
    history = write_history(tmp_path / "bars.csv", ("BANKNIFTY", "TCS"), DAYS[:1], seed=5)
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)
    told = {}
    for command in ("trade", "backtest"):
        trades = tmp_path / f"{command}.csv"
        arguments = ["--history", str(history), "--strategy-file", str(file), "--trades", str(trades)]
        done = _done(command, arguments, tmp_path / "state", servers, silent=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert trades.read_text().startswith("pos_id,"), "no trade: the head alone"
        told[command] = [line for line in done.stderr.splitlines() if line.startswith("strategy ")]
    assert told["trade"] == told["backtest"]
    assert told["trade"] == [
        f"strategy 'wrong' raised: Weird: no way (File \"{file}\", line 24, in on_candle): mend it there; "
        "it held instead",
        "strategy 'wrong': answers that could not count and became HOLD: 8; the first: strategy_error: TypeError: "
        "answered str, not a Decision",
    ]


MANY = ["--limit", "max_concurrent_trades=8"]
LEGS = {
    "all legs in": ["--limit", "max_slippage_pct=5"],
    "a leg that risk refuses": ["--limit", "max_slippage_pct=5", "--limit", "max_concurrent_trades=3"],
    "a leg that is not filled": ["--limit", "max_slippage_pct=0.01", "--seed", "2"],
}


@pytest.mark.parametrize("name", LEGS)
def test_legs_are_traded_alike_and_are_one_group(name: str, tmp_path: Path, servers) -> None:
    history = tmp_path / "bars.csv"
    options = write_option_history(history, DAYS, expiries=["24104"], seed=3)
    arguments = [
        "--history", str(history), "--from", DAYS[1].isoformat(), "--strategy-file", str(EXAMPLES / "straddle.py"),
        "--capital", "4000000", "--limit", "cooldown_seconds=0", *([] if "refuses" in name else MANY), *LEGS[name],
    ]  # fmt: skip
    processes = run("trade", arguments, tmp_path / "state", servers)
    engine = run("backtest", [*arguments, "--trades", str(tmp_path / "trades.csv")], tmp_path / "state", servers)
    assert {key: engine[key] for key in EQUAL} == {key: processes[key] for key in EQUAL}
    assert processes["signals_by_type"]["ENTRY_SIGNAL"] == len(options)
    made, path = tmp_path / "trades.csv", Path(processes["run_dir"]) / "trades.csv"
    assert trades_of(made) == trades_of(path)
    for one in (made, path):
        with one.open(newline="") as file:
            groups = [row["group_id"] for row in csv.DictReader(file)]
        assert len(set(groups)) == bool(groups)
        assert all(groups)
    match name:
        case "all legs in":
            assert processes["trades"] == len(options)
        case "a leg that risk refuses":
            assert processes["blocks_by_rule"] == {"max_concurrent_trades": 1, "group_incomplete": 3}
            assert processes["trades"] == 0
        case _:
            assert processes["approvals"] == len(options)
            assert processes["open_trades"] == 0
            assert 0 < processes["trades"] < len(options)


def test_a_spread_over_two_expiries_is_traded_alike_and_one_that_is_not_there_is_refused_alike(
    tmp_path: Path, servers
) -> None:
    history = tmp_path / "bars.csv"
    options = write_option_history(history, DAYS, expiries=["24104", "24111"], seed=3)
    arguments = [
        "--history", str(history), "--from", DAYS[1].isoformat(), "--strategy-file",
        str(EXAMPLES / "calendar_spread.py"), "--capital", "4000000", "--limit", "cooldown_seconds=0",
        "--limit", "max_slippage_pct=5",
    ]  # fmt: skip
    processes = run("trade", arguments, tmp_path / "state", servers)
    engine = run("backtest", [*arguments, "--trades", str(tmp_path / "trades.csv")], tmp_path / "state", servers)
    assert {key: engine[key] for key in EQUAL} == {key: processes[key] for key in EQUAL}
    trades = trades_of(tmp_path / "trades.csv")
    assert {(row["symbol"], row["side"]) for row in trades} == {(options[0], "SHORT"), (options[4], "LONG")}
    assert trades == trades_of(Path(processes["run_dir"]) / "trades.csv")
    near = ["--symbol", f"NIFTY,{options[0]},{options[1]}"]
    for command in ("trade", "backtest"):
        said = refused(command, [*arguments, *near], tmp_path / "state", servers)
        assert "needs call+0@next of NIFTY: no second one is known beside 2024-01-04" in said
        assert "the nearest there is: call+0, which expires on 2024-01-04" in said
