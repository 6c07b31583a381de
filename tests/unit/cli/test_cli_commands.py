"""The command line itself: help that teaches, exit codes, one line for a mistake. Nothing is started here."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import structlog
import typer
from testkit.messages import sample
from typer.testing import CliRunner

from services.cli.bench.registry import BENCHMARKS, find_benchmark
from services.cli.killing.switch import targets
from services.cli.main import app, main
from services.cli.output import Verbosity
from services.cli.stack.rundir import RunState, runs_folder, write_run
from services.cli.tailing import entry_json, entry_lines, stream_name
from tradebus.bus.port import Entry
from tradebus.contracts.market import DataGap
from tradebus.contracts.records import QUOTE
from tradebus.contracts.streams import MD_GAPS, MD_QUOTES, STREAMS
from tradebus.kernel.errors import InvalidInput

COMMANDS = [
    "demo", "trade", "up", "start", "stop", "pause", "resume", "flatten", "settle", "order", "close", "status", "tail",
    "kill", "migrate", "bench", "drill", "instruments", "quote", "login", "sandbox", "version",
]  # fmt: skip
WITH_FIGURES = [name for name in COMMANDS if name not in ("up", "version")]


@dataclass(frozen=True)
class Finished:
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Finished]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The command as a user runs it, without any server in its environment, in an empty state folder."""
    for name in ("DATABASE_URL", "REDIS_URL", "DATABASE_URL_FILE", "REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path))
    # What a command sets for its process is not to hold for the tests after it.
    monkeypatch.setattr(Verbosity, "silent", False)
    monkeypatch.setattr(Verbosity, "log_level", "info")
    monkeypatch.setattr(structlog, "configure", lambda **_: None)

    def start(*arguments: str) -> Finished:
        monkeypatch.setattr(sys, "argv", ["tradebus", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Finished(int(ended.value.code or 0), *capsys.readouterr())

    return start


def refused(found: Finished, code: int) -> str:
    """The one line a mistake is answered with."""
    assert found.code == code, found.stderr
    (line,) = found.stderr.strip().splitlines()
    assert line.startswith("tradebus: ")
    return line


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    found = run("--help")
    assert found.code == 0
    assert all(name in found.stdout for name in COMMANDS)
    assert "130 interrupted" in found.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_an_example(name: str) -> None:
    found = CliRunner().invoke(app, [name, "--help"])
    assert found.exit_code == 0
    assert f"tradebus {name}" in found.stdout
    assert "Example" in found.stdout
    assert ("--json" in found.stdout) == (name in WITH_FIGURES)


def test_backtest_knows_every_option_of_trade_since_the_two_are_compared() -> None:
    """An option that means nothing to it is refused with why, or said to change nothing."""
    options = {
        name: {option for parameter in typer.main.get_command(app).commands[name].params for option in parameter.opts}
        for name in ("trade", "backtest")
    }
    assert options["trade"] - options["backtest"] == set()
    said = " ".join(CliRunner().invoke(app, ["backtest", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert "changes nothing" in said


def test_help_imports_nothing_heavy() -> None:
    heavy = {"numpy", "numba", "asyncpg", "fastapi", "httpx", "pyarrow", "redis"}
    program = "import sys, services.cli.main; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(found.stdout.split())


@pytest.mark.parametrize("arguments", [["nothing"], ["trade", "--nothing"], ["demo", "--seed", "x"], ["start"]])
def test_a_mistyped_command_line_leaves_with_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["trade", "--live"], "--live"),
        (["trade", "--history", "x.csv"], "--strategy"),
        (["trade", "--history", "x.csv", "--strategy", "orbb"], "did you mean 'orb'"),
        (["trade", "--history", "x.csv", "--strategy", "orb", "--param", "length"], "name=value"),
        (["trade", "--history", "x.csv", "--strategy", "orb", "--speed", "fast"], "--speed"),
        (["trade", "--history", "x.csv", "--strategy", "orb", "--from", "1.1.24"], "--from"),
        (["trade", "--history", "x.csv", "--strategy", "orb"], "x.csv"),
        (["backtest", "--history", "x.csv", "--strategy", "orb", "--paper", "--speed", "max"], "x.csv"),
        (["backtest", "--history", "x.csv", "--strategy", "orb", "--live"], "--live: "),
        (["backtest", "--history", "x.csv", "--strategy", "orb", "--speed", "60"], "--speed 60: "),
        (["backtest", "--history", "x.csv", "--strategy", "orb", "--speed", "fast"], "--speed 'fast': "),
        (["backtest", "--history", "x.csv", "--strategy", "orb", "--keep"], "--keep: "),
        (["demo", "--day", "2026-08-15"], "closed"),
        (["tail", "ordrs"], "did you mean 'orders'"),
        (["bench", "candels"], "did you mean 'candles'"),
        (["demo", "--broker", "kit"], "did you mean 'kite'"),
        (["demo", "--broker", "kite", "--orders-broker", "x"], "--orders-broker"),
        (["demo", "--orders-broker", "kite"], "needs --broker"),
        (["demo", "--broker", "kite", "--speed", "max"], "--speed max"),
        (["demo", "--broker", "kite", "--speed", "500"], "at most 120"),
        (["demo", "--broker", "kite", "--day", "2026-08-15"], "closed"),
        (["quote", "NIFTY", "--broker", "dhann"], "did you mean 'dhan'"),
        (["quote", "NIFTY", "--broker", "kite"], "tradebus login"),
        (["quote", "NIFTY", "--broker", "kite", "--url", "nowhere", "--credential", "x"], "'x' is not stored"),
        (["instruments", "--broker", "upstox", "--url", "nowhere"], "--url 'nowhere'"),
        (["login", "--broker", "kite", "--token-file", "/nowhere"], "--token-file /nowhere"),
        (["login", "--broker", "kite", "--secret-file", "/nowhere"], "--secret-file /nowhere"),
        (["login", "--broker", "kite", "--sandbox", "ftp://x"], "http://127.0.0.1:8100"),
        (["sandbox", "--start", "tomorrow"], "--start"),
        (["kill", "--reason", ""], "--reason"),
        (["kill", "--stack", "nothing"], "no such stack"),
    ],
)
def test_bad_input_is_one_line_and_leaves_with_2(run: Run, arguments: list[str], problem: str) -> None:
    assert problem in refused(run(*arguments), 2)


@pytest.mark.parametrize("name", ["SEED", "START", "SPEED", "INSTRUMENTS", "KITE_PORT", "ADMIN_PORT", "MASTER"])
def test_the_sandbox_takes_from_its_variables_what_no_option_gives(
    run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"TRADEBUS_SANDBOX_{name}"
    monkeypatch.setenv(variable, "nonsense")
    assert variable in refused(run("sandbox"), 2)


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["stop", "123"], ["tail"], ["start", "1", "--strategy", "orb"], ["status", "--stack", "x"],
     ["stop", "1", "--url", "http://127.0.0.1:1"], ["login", "--broker", "kite", "--sandbox", "http://127.0.0.1:1"]],
)  # fmt: skip
def test_what_is_not_there_is_one_line_and_leaves_with_3(
    run: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEBUS_API_TOKEN", "x" * 20)
    refused(run(*arguments), 3)


def test_kill_works_with_nothing_running_and_says_what_it_reached(run: Run, tmp_path: Path) -> None:
    found = run("kill", "--reason", "enough", "--json")
    assert found.code == 0
    (stack,) = json.loads(found.stdout.splitlines()[-1])["stacks"]
    assert stack["file"] == "done"
    assert "nothing runs" in stack["postgres"]
    assert (tmp_path / ".killswitch").read_text() == "enough\n"
    assert run("kill", "--reset").code == 0
    assert not (tmp_path / ".killswitch").exists()


MINUTES = [f"2024-01-01 09:{minute},100,101,99,100" for minute in range(15, 25)]


@pytest.mark.parametrize(
    ("head", "row", "words"),
    [
        ("ts,open,high,low,close", "2024-01-01 09:19,100,101,99,nan", ["bars.csv", "row 5"]),
        ("ts,open,high,low,close", "2024-01-01 09:19,100,1,99,100", ["bars.csv", "row 5"]),
        ("ts,open,high,low,close", "2024-01-01 09:19,-3,101,99,100", ["bars.csv", "row 5"]),
        ("ts,open,high,low,close", "2024-01-01 09:15,100,101,99,100", ["bars.csv", "row 5"]),
        ("ts,open,high,lowest,close", "2024-01-01 09:19,100,101,99,100", ["bars.csv", "low"]),
    ],
)
def test_a_bad_history_file_is_one_clear_line_and_nothing_is_started(
    run: Run, tmp_path: Path, head: str, row: str, words: list[str]
) -> None:
    history = tmp_path / "bars.csv"
    history.write_text("\n".join([head, *MINUTES[:4], row, *MINUTES[5:]]))
    line = refused(run("trade", "--history", str(history), "--symbol", "BANKNIFTY", "--strategy", "orb", "--json"), 2)
    assert all(word in line for word in words), line
    assert list(tmp_path.iterdir()) == [history]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--symbol", "BANKNIFTY", "--strategy", "orbb"], "'orb'"),
        (["--symbol", "BANKNIFTY", "--strategy", "orb", "--param", "orb.reward_multipl=2"], "reward_multiple"),
        (["--symbol", "BANKNIFTI", "--strategy", "orb"], "'BANKNIFTY'"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(run: Run, tmp_path: Path, more: list[str], word: str) -> None:
    history = tmp_path / "bars.csv"
    history.write_text("\n".join(["ts,open,high,low,close", *MINUTES]))
    assert word in refused(run("trade", "--history", str(history), *more), 2)


@pytest.mark.parametrize(
    ("redis_url", "problem"),
    [("nonsense-hunter2", "REDIS_URL"), ("redis://:hunter2@[x/0", "REDIS_URL"), ("http://:hunter2@x/", "REDIS_URL")],
)
def test_a_server_address_that_is_none_is_one_line_without_its_secret(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, problem: str
) -> None:
    history = tmp_path / "bars.csv"
    history.write_text("ts,open,high,low,close\n2024-01-02 09:15:00,100,101,99,100\n")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nothing")
    found = run("--silent", "trade", "--history", str(history), "--symbol", "NIFTY", "--strategy", "orb")
    assert problem in refused(found, 2)
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "hunter2" not in found.stderr + found.stdout + written


@pytest.mark.parametrize("database_url", ["nonsense-hunter2", "postgresql://u:hunter2@[x/y", "mysql://u:hunter2@x/y"])
def test_a_database_address_that_is_none_is_one_line_without_its_secret(
    run: Run, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    line = refused(run("migrate"), 2)
    assert "DATABASE_URL" in line
    assert "hunter2" not in line


def test_a_state_folder_that_cannot_be_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    history = tmp_path / "bars.csv"
    history.write_text("ts,open,high,low,close\n2024-01-02 09:15:00,100,101,99,100\n")
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(history))
    arguments = ("--silent", "trade", "--history", str(history), "--symbol", "NIFTY", "--strategy", "orb")
    assert "TRADEBUS_STATE_DIR" in refused(run(*arguments), 3)


def test_a_trade_without_history_says_what_is_missing_or_that_the_market_is_closed(run: Run) -> None:
    found = run("trade", "--strategy", "orb")
    if found.code == 0:
        assert "closed" in found.stdout
    else:
        assert "--history" in refused(found, 2)


def test_every_benchmark_is_found_or_named_as_missing() -> None:
    for name in BENCHMARKS:
        assert callable(find_benchmark(name))


def test_a_stream_is_found_by_its_short_and_its_full_name() -> None:
    assert stream_name("orders") == stream_name("orders.v1") == "orders.v1"
    assert stream_name("candles") == "md.candles.v1.{0}"
    assert stream_name("md.ticks.v1.{3}") == "md.ticks.v1.{3}"
    assert stream_name("signals.dead") == "signals.v1.strategy.dead"
    for stream in STREAMS:
        assert stream_name(stream.name).startswith(stream.name)
    with pytest.raises(InvalidInput):
        stream_name("nothing")


def test_a_command_on_the_stream_is_shown_without_its_token() -> None:
    body = json.dumps({"action": "START_TRADING", "data": {"access_token": "secret", "list": [{"Token": "secret"}]}})
    entry = Entry("trading.commands.v1", "1-0", "", body.encode())
    assert "secret" not in json.dumps(entry_json(entry)) + "".join(entry_lines(entry))
    broken = Entry("trading.commands.v1", "1-0", "", b'{"access_token": "secret"')
    assert "secret" not in json.dumps(entry_json(broken)) + "".join(entry_lines(broken))


def test_quotes_and_gaps_are_shown_decoded() -> None:
    quotes = np.zeros(1, QUOTE)
    quotes["ts_event_ns"], quotes["instrument"], quotes["price_paise"] = 1_704_081_300_000_000_000, 7, 2_600_050
    quotes["bid_paise"][0, 0], quotes["ask_paise"][0, 0] = 2_600_000, 2_600_100
    quotes["bid_quantity"][0, 0], quotes["ask_quantity"][0, 0] = 130, 65
    quotes["total_buy_quantity"], quotes["total_sell_quantity"], quotes["open_interest"] = 9_000, 8_000, 1_200
    entry = Entry(MD_QUOTES.shard(0), "1-0", "quotes", quotes.tobytes())
    (line,) = entry_lines(entry)
    assert "26,000.50  130 @ 26,000.00 / 26,001.00 @ 65  book 9,000 / 8,000  OI 1,200" in line
    (record,) = entry_json(entry)["records"]
    assert record["bid_paise"] == [2_600_000, 0, 0, 0, 0]
    assert stream_name("quotes") == "md.quotes.v1.{0}"
    (gap,) = entry_lines(Entry(MD_GAPS.name, "1-0", "DATA_GAP", sample(DataGap).to_json()))
    assert gap.endswith("target_hit  BANKNIFTY")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"TRADEBUS_FEED": "kit"}, "--feed 'kit': no such feed (did you mean 'kite'?)"),
        ({"TRADEBUS_FEED": "history"}, "tradebus trade --history FILE"),
        ({"TRADEBUS_SPEED": "fast"}, "--speed 'fast'"),
        ({"TRADEBUS_NAMESPACE": "My Own"}, "namespace 'My Own'"),
    ],
)
def test_what_the_environment_asks_of_up_is_judged_as_an_option_is(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert says in refused(run("up"), 2)


def test_a_reset_that_cannot_pause_sessions_releases_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/none")
    assert run("kill").code == 0
    found = run("kill", "--reset")
    assert found.code == 3
    assert "secret" not in found.stdout + found.stderr
    assert "stays" in found.stdout
    assert "released" not in found.stdout
    assert (tmp_path / ".killswitch").exists()


def test_kill_means_the_stack_that_ran_last_and_the_default_one(tmp_path: Path) -> None:
    folder = runs_folder(tmp_path) / "default"
    folder.mkdir(parents=True)
    write_run(folder, RunState("default", "up", "live", 2**22 + 1, "", str(tmp_path), "", "", "", ""))
    assert [target.namespace for target in targets(None, state=tmp_path)] == ["", "live"]
    assert [target.namespace for target in targets("live", state=tmp_path)] == ["live"]


@pytest.mark.parametrize("rules", ["no such file", "broken.json"])
def test_a_market_rules_file_that_cannot_be_read_stops_only_what_asks_for_rules(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rules: str
) -> None:
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.setenv("TRADEBUS_MARKET_RULES", str(tmp_path / rules))
    for arguments in (["trade", "--history", "x.csv"], ["backtest", "--history", "x.csv"], ["up"]):
        assert "TRADEBUS_MARKET_RULES" in refused(run(*arguments), 2)
    for arguments, code in ((["version"], 0), (["status"], 3), (["tail", "orders"], 3), (["stop", "123"], 3)):
        found = run(*arguments)
        assert found.code == code
        assert "TRADEBUS_MARKET_RULES" not in found.stderr


@pytest.mark.parametrize("reset", [True, False])
def test_kill_goes_on_with_the_built_in_rules_and_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reset: bool
) -> None:
    monkeypatch.setenv("TRADEBUS_MARKET_RULES", str(tmp_path / "no such file"))
    found = run("--silent", "kill", "--seconds", "1", *(["--reset"] if reset else []))
    assert found.code == 0, found.stderr
    assert "is no file" in found.stderr
    assert "THE BUILT-IN MARKET RULES HOLD" in found.stderr
    assert (tmp_path / ".killswitch").exists() is not reset
