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
from typer.testing import CliRunner

from services.cli.main import app
from tradebus.kernel.errors import TradebusError

DAYS = (date(2024, 1, 1), date(2024, 1, 2))
EXAMPLES = Path(__file__).parents[3] / "examples" / "strategies"
EQUAL = (
    "decision_log_hash", "bars", "days", "decisions", "signals_by_type", "approvals", "reductions", "blocks_by_rule",
    "halts", "orders", "fills", "trades", "open_trades", "winners", "charges_paise", "charges_by_kind_paise",
    "net_pnl_paise",
)  # fmt: skip


def run(
    command: str, arguments: list[str], state: Path, servers: Any, *, conflicts: str = "", code: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """Its figures, and what it says of its strategies."""
    done = _done(command, arguments, state, servers, conflicts=conflicts, silent=False)
    assert done.returncode == code, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, [line for line in done.stderr.splitlines() if line.startswith("strategy ")]


def refused(command: str, arguments: list[str], state: Path, servers: Any) -> str:
    """What is said of a run that cannot be, on one line."""
    done = _done(command, arguments, state, servers)
    assert done.returncode, done.stdout
    return " ".join(done.stderr.split())


def _done(
    command: str, arguments: list[str], state: Path, servers: Any, *, conflicts: str = "", silent: bool = True
) -> "subprocess.CompletedProcess[str]":
    """The engine runs in this process: a fresh one has little to say but its imports."""
    urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "TRADEBUS_STATE_DIR": str(state)}
    if conflicts:
        urls["TRADEBUS_STRATEGY_CONFLICTS"] = conflicts
    words = [*["--silent"][:silent], command, "--json", *(["--speed", "max"] if command == "trade" else []), *arguments]
    if command == "backtest":
        found = CliRunner().invoke(app, words, env=urls)
        error, said = found.exception, found.stderr
        if isinstance(error, TradebusError):  # `main` says it so
            return subprocess.CompletedProcess(words, error.exit_code, found.stdout, f"{said}tradebus: {error}\n")
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return subprocess.CompletedProcess(words, found.exit_code, found.stdout, said)
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *words],
        env={**os.environ, **urls}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def trades_of(path: Path) -> list[dict[str, str]]:
    """Every trade with its prices, excursions and instants; ids differ from run to run."""
    with path.open(newline="") as file:
        rows = [{key: cell for key, cell in row.items() if not key.endswith("_id")} for row in csv.DictReader(file)]
    return sorted(rows, key=lambda row: (row["opened_utc"], row["strategy"], row["symbol"]))


def alike(
    arguments: list[str], tmp_path: Path, servers: Any, *, conflicts: str = "", code: int = 0
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The figures and trades of the six processes, every one of them the engine's too, session by session."""
    processes, said = run("trade", arguments, tmp_path / "state", servers, conflicts=conflicts, code=code)
    made, path = tmp_path / "trades.csv", Path(processes["run_dir"]) / "trades.csv"
    engine, told = run(
        "backtest", [*arguments, "--trades", str(made)], tmp_path / "state", servers, conflicts=conflicts, code=code
    )
    assert said == told
    told_of = ("failed_strategies", "answers", "refusals")
    assert {key: engine[key] for key in told_of} == {key: processes[key] for key in told_of}
    assert {key: engine[key] for key in EQUAL} == {key: processes[key] for key in EQUAL}
    assert processes["decisions"] > 0
    trades = trades_of(path)
    assert trades_of(made) == trades
    for one, other in zip(processes["sessions"], engine["sessions"], strict=True):
        assert {key: one[key] for key in EQUAL if key in one} == {key: other[key] for key in EQUAL if key in other}
    assert [processes["recorded"], engine["recorded"]] == [1, 2]
    return {**processes, "said": said}, trades


def groups_by_user(path: Path) -> dict[str, list[str]]:
    """The group of every trade; "" where it has none."""
    groups: dict[str, list[str]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            groups.setdefault(row["user_id"], []).append(row["group_id"])
    return groups


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


# With the minutes of each of the two days: some break off.
CASES = {
    "random parameters 1": (*random_case(1), 375),
    "random parameters 4": (random_case(4)[0], [*random_case(4)[1], "--charges", "upstox"], 170),
}


@pytest.mark.parametrize("name", CASES)
def test_six_processes_and_the_engine_are_one_build(name: str, tmp_path: Path, servers) -> None:
    symbols, options, minutes = CASES[name]
    history = write_history(tmp_path / "bars.csv", symbols, DAYS, seed=len(name), minutes=minutes)
    rule = "highest_confidence" if "1" in name else ""
    processes, trades = alike(["--history", str(history), *options], tmp_path, servers, conflicts=rule)
    assert trades
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


def test_files_of_a_user_trade_alike_also_where_one_lacks_something_and_one_is_wrong(tmp_path: Path, servers) -> None:
    history = write_history(tmp_path / "bars.csv", ("BANKNIFTY",), DAYS, seed=5)
    optional = tmp_path / "wanting.py"
    optional.write_text(WANTING.format(needs="quotes=OPTIONAL, chain=OPTIONAL, flow=OPTIONAL"))
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    files = [EXAMPLES / "ema_pullback.py", EXAMPLES / "tick_threshold.py", optional, wrong]
    arguments = [
        "--history", str(history), *(word for file in files for word in ("--strategy-file", str(file))),
        "--param", "tick_threshold.every_ticks=700", "--limit", "max_concurrent_trades=5", "--paper", "--speed", "max",
    ]  # fmt: skip
    processes, trades = alike(arguments, tmp_path, servers, code=4)
    assert processes["failed_strategies"] == ["wrong"]
    assert processes["strategies"] == sorted(file.stem for file in files)
    assert {row["strategy"] for row in trades} >= {"tick_threshold", "wanting"}
    raised, counted, *kinds, failed = [line for line in processes["said"] if "'wrong'" in line]
    assert [raised, counted, failed] == [
        f"strategy 'wrong' raised: Weird: no way (File \"{wrong}\", line 24, in on_candle): mend it there; "
        "it held instead",
        "strategy 'wrong': answers that could not count and became HOLD: 8",
        "strategy 'wrong' FAILED: this run says little about it",
    ]
    assert [kind for kind in kinds if kind.endswith("IST: strategy_error: TypeError: answered str, not a Decision")]


def test_what_no_history_has_is_refused_alike(tmp_path: Path, servers) -> None:
    """Through the processes one need of them; the strategy service's own tests have the others."""
    history = write_history(tmp_path / "bars.csv", ("BANKNIFTY",), DAYS[:1], seed=5)
    file = tmp_path / "wanting.py"
    arguments = ["--history", str(history), "--strategy-file", str(file)]
    for needs, said in REFUSED.items():
        file.write_text(WANTING.format(needs=f"{needs}=True"))
        for command in ("trade", "backtest") if needs == "chain" else ("backtest",):
            assert f"strategy 'wanting' {said}" in refused(command, arguments, tmp_path / "state", servers)


# By user: the limit that makes the difference.
LEGS = {
    "all_in": "max_slippage_pct=5",
    "refused": "max_concurrent_trades=3",
    "unfilled": "max_slippage_pct=0.01",
}


def test_legs_are_traded_alike_and_are_one_group(tmp_path: Path, servers) -> None:
    """Where all get in, where risk refuses one, and where one is not filled."""
    history = tmp_path / "bars.csv"
    options = write_option_history(history, DAYS, expiries=["24104"], seed=3)
    arguments = [
        "--history", str(history), "--from", DAYS[1].isoformat(), "--strategy-file", str(EXAMPLES / "straddle.py"),
        "--capital", "4000000", "--seed", "2", "--limit", "cooldown_seconds=0", "--limit", "max_slippage_pct=5",
        "--limit", "max_concurrent_trades=8",
        *(word for user, limit in LEGS.items() for word in ("--user", user, "--limit", f"{user}.{limit}")),
    ]  # fmt: skip
    processes, _ = alike(arguments, tmp_path, servers)
    by_user = {one["user_id"]: one for one in processes["sessions"]}
    assert {one["signals_by_type"]["ENTRY_SIGNAL"] for one in by_user.values()} == {len(options)}
    for path in (tmp_path / "trades.csv", Path(processes["run_dir"]) / "trades.csv"):
        groups = groups_by_user(path)
        assert groups.keys() == {"all_in", "unfilled"}
        assert all(len(set(one)) == 1 and all(one) for one in groups.values())
    assert by_user["all_in"]["trades"] == len(options)
    assert by_user["refused"]["blocks_by_rule"] == {"max_concurrent_trades": 1, "group_incomplete": 3}
    assert by_user["refused"]["trades"] == 0
    assert by_user["unfilled"]["approvals"] == len(options)
    assert processes["open_trades"] == 0
    assert 0 < by_user["unfilled"]["trades"] < len(options)


def test_a_spread_over_two_expiries_is_traded_alike_and_one_that_is_not_there_is_refused(
    tmp_path: Path, servers
) -> None:
    history = tmp_path / "bars.csv"
    options = write_option_history(history, DAYS, expiries=["24104", "24111"], seed=3)
    arguments = [
        "--history", str(history), "--from", DAYS[1].isoformat(), "--strategy-file",
        str(EXAMPLES / "calendar_spread.py"), "--capital", "4000000", "--limit", "cooldown_seconds=0",
        "--limit", "max_slippage_pct=5",
    ]  # fmt: skip
    _, trades = alike(arguments, tmp_path, servers)
    assert {(row["symbol"], row["side"]) for row in trades} == {(options[0], "SHORT"), (options[4], "LONG")}
    near = ["--symbol", f"NIFTY,{options[0]},{options[1]}"]
    said = refused(
        "backtest", [*arguments, *near], tmp_path / "state", servers
    )  # by processes: as what no history has, above
    assert "needs call+0@next of NIFTY: no second one is known beside 2024-01-04" in said
    assert "the nearest there is: call+0, which expires on 2024-01-04" in said
