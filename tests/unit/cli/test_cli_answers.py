"""What strategies answered and what risk refused: how it is counted, and when a strategy has failed."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from testkit.histories import write_history
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.reports.answers import count_answers, failed_strategies

FILE = """
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters, hold


class Mine(Strategy[StrategyParameters]):
    NAME = "mine"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 0
    PARAMETERS = StrategyParameters

    def on_candle(self, candle, context):
        if context.position:
            return hold(f"holds at {candle.close_paise}")
        ANSWER
"""
ENTERS = 'return Decision(Action.ENTER_LONG, "up", stop_paise=STOP)'
SOUND = "candle.close_paise * 99 // 100"


def ran(tmp_path: Path, answer: str, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, figures, and what was said."""
    file = tmp_path / "mine.py"
    file.write_text(FILE.replace("ANSWER", answer))
    history = write_history(tmp_path / "bars.csv", ("BANKNIFTY",), [date(2024, 1, 1)], seed=5)
    words = ["backtest", "--json", "--history", str(history), "--strategy-file", str(file), *options]
    found = CliRunner().invoke(app, words, env={"TRADEBUS_STATE_DIR": str(tmp_path / "state")})
    assert found.exit_code in (0, 4), found.output
    return found.exit_code, json.loads(found.stdout.splitlines()[-1]), found.stderr


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        ("raise RuntimeError('no rain')", 4, "strategy_error: RuntimeError: no rain"),
        (ENTERS.replace("STOP", "None"), 4, "strategy_error: ValueError: an entry needs stop_paise, an int above 0"),
        (ENTERS.replace("STOP", "candle.close_paise * 0.99"), 4, "an int above 0, got "),
        (ENTERS.replace("STOP", SOUND), 0, None),
        ("return hold('no rain')", 0, None),
    ],
)
def test_a_run_whose_strategy_fails_says_so_in_its_exit_code(tmp_path, answer, code, error) -> None:
    left, figures, said = ran(tmp_path, answer)
    assert left == code
    assert figures["failed_strategies"] == ["mine"] * (code == 4)
    [answers] = figures["answers"]
    assert sum(answers["actions"].values()) == figures["decisions"]
    if error is None:
        assert answers["could_not_count"] == 0
        assert "FAILED" not in said
        return
    [first] = answers["errors"]
    assert error in first["reason"]
    assert first["times"] == answers["could_not_count"] == figures["decisions"]
    assert first["first"] == "2024-01-01T09:16:00+05:30"
    assert "first at 2024-01-01 09:16:00 IST: strategy_error" in said
    assert ("line 14" in said) is ("raise" in answer)


def test_a_refusal_says_what_would_have_had_to_be_different(tmp_path) -> None:
    answer = ENTERS.replace("STOP", SOUND)
    _, figures, _ = ran(tmp_path, answer, "--capital", "1000")
    [refusal] = [one for one in figures["refusals"] if one["rule"] == "below_one_lot"]
    assert refusal["times"] == figures["blocks_by_rule"]["below_one_lot"]
    before, needed = refusal["detail"].split("this needs ₹")
    assert "of capital, there is ₹1,000.00" in needed
    assert "take ₹" in before
    enough = needed.split(" ")[0].replace(",", "")
    _, other, _ = ran(
        tmp_path, answer, "--capital", enough, "--limit", "max_leverage=100", "--limit", "max_exposure_pct=1",
    )  # fmt: skip
    firsts = [one["first"] for one in other["refusals"] if "this needs" in one["detail"]]
    assert refusal["first"] not in firsts


def test_reasons_that_differ_in_their_figures_are_one_with_the_first_words() -> None:
    rows = [("a", "HOLD", f"at {price:,}.5", 2, 100 - price) for price in range(50)]
    found = count_answers([*rows, ("a", "EXIT", "done", 1, 5), ("b", "HOLD", "strategy_error: x", 3, 9)])
    [reason] = found["a"].holds.values()
    assert (reason.words, reason.number, reason.first_ns, reason.alike) == ("at 49.5", 100, 51, True)
    assert found["a"].actions == {"HOLD": 100, "EXIT": 1}
    assert failed_strategies(found, ()) == ["b"]
    assert failed_strategies(found, ["a"]) == ["a", "b"]
    [*_] = many = count_answers(("a", "HOLD", "x" * size, 1, size) for size in range(10_500))["a"].holds.values()
    assert sum(one.number for one in many) == 10_500
    assert len(many) == 10_001
