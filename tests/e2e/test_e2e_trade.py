"""The whole stack as a user runs it: processes, Redis, Postgres, one command, and kill -9 in the middle."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from datetime import time as clock
from pathlib import Path

import pytest
from testkit.feeds import write_ticks

from tradebus.calendar import session_for
from tradebus.indicators.synthetic import SyntheticInstrument, generate_day
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_datetime

ROOT = Path(__file__).parents[2]
DAYS = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3))
KILLED = ("market_data", "strategy", "risk", "execution")
SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "index_1min" / "BANKNIFTY_1min_2012-2024.parquet"


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> Path:
    """Three generated days as the CSV a user would have."""
    path = tmp_path_factory.mktemp("history") / "bars.csv"
    instrument = SyntheticInstrument(
        instrument=0, base_price_paise=4_800_000, annual_volatility=0.35, tick_size_paise=5, daily_volume=1_000_000
    )
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ts", "open", "high", "low", "close", "volume"])
        for day in DAYS:
            session = session_for(day, "derivative")
            assert session is not None
            for bar in generate_day([instrument], day_open_ns=session.open_ns, minutes=375, seed=5).tolist():
                stamp = ist_datetime(bar[0]).strftime("%Y-%m-%d %H:%M:%S")
                rows.writerow([stamp, *(price / 100 for price in bar[2:6]), bar[6]])
    return path


def environment(servers, state: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "TRADEBUS_STATE_DIR": str(state),
    }


def command(history: Path, *more: str) -> list[str]:
    return [
        str(Path(sys.executable).with_name("tradebus")), "trade", "--history", str(history), "--symbol", "BANKNIFTY",
        "--strategy", "orb,ema_20_50", "--speed", "max", "--json", *more,
    ]  # fmt: skip


def run(servers, state: Path, words: list[str]) -> dict:
    done = subprocess.run(
        words, env=environment(servers, state), capture_output=True, text=True, timeout=240, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def in_engine(servers, state: Path, history: Path) -> dict:
    program, _, *arguments = command(history)
    return run(servers, state, [program, "backtest", *arguments])


def is_ready(log: Path) -> bool:
    return log.exists() and '"event": "ready"' in log.read_text()


def killer(state: Path, process: subprocess.Popen) -> list[str]:
    """Kills the services in turn while the run goes on; returns whom it killed."""
    killed: list[str] = []
    deadline_ns = monotonic_ns() + 200 * NANOSECONDS_PER_SECOND
    while process.poll() is None and monotonic_ns() < deadline_ns:
        time.sleep(0.7)
        for file in (state / "runs").glob("*/run.json"):
            services = json.loads(file.read_text()).get("services", {})
            name = KILLED[len(killed) % len(KILLED)]
            pid = services.get(name, {}).get("pid", 0)
            # Once each, and all of them ready before: a service that dies while the stack comes up is an error.
            up = all(is_ready(file.parent / f"{each}.log") and services.get(each, {}).get("pid") for each in KILLED)
            if pid and up and len(killed) < len(KILLED):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed.append(name)
    return killed


SAME = ("decision_log_hash", "net_pnl_paise", "decisions", "signals", "orders", "fills", "trades", "bars")


def test_killed_or_not_it_is_the_same_run(servers, tmp_path, history):
    """What is killed comes to what nothing can kill: the engine, which comes to what the processes do left alone."""
    first = in_engine(servers, tmp_path / "a", history)
    assert first["days"] == len(DAYS)
    assert first["bars"] == 375 * len(DAYS)
    assert first["trades"] > 0
    assert first["open_trades"] == 0
    state = tmp_path / "b"
    with subprocess.Popen(
        command(history), env=environment(servers, state), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        killed = killer(state, process)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors[-2000:]
    disturbed = json.loads(output.splitlines()[-1])
    assert set(killed) == set(KILLED)
    assert sum(disturbed["restarts"].values()) >= len(KILLED)
    assert {name: disturbed[name] for name in SAME} == {name: first[name] for name in SAME}


def test_a_file_of_ticks_that_breaks_off_is_traded_and_ends_flat(servers, tmp_path):
    """Ticks before the window warm up; a position that is open when the ticks end is closed, and it is said."""
    history = write_ticks(tmp_path / "ticks.parquet", (DAYS[0], clock(15, 0), 90), (DAYS[1], clock(9, 15), 900))
    arguments = [
        "trade", "--history", str(history), "--symbol", "BANKNIFTY", "--from", str(DAYS[1]), "--json",
        "--strategy-file", str(ROOT / "examples/strategies/tick_threshold.py"), "--param", "every_ticks=400",
        "--capital", "5000000",
    ]  # fmt: skip
    done = subprocess.run(
        [str(Path(sys.executable).with_name("tradebus")), *arguments], env=environment(servers, tmp_path / "state"),
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "900 ticks in " in done.stderr
    assert "closed at the last price" in done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["trades"] > 0
    assert report["open_trades"] == 0


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="no shared market data beside the checkout")
def test_two_recorded_days_trade_through_every_service(servers, tmp_path):
    done = run(servers, tmp_path, command(SHARED, "--from", "2024-01-01", "--to", "2024-01-02"))
    assert done["bars"] == 750
    assert done["trades"] > 0
    assert done["open_trades"] == 0
