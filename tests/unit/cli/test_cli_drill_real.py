"""The drill with real processes: what is drawn for it, how it reads the exchange's book, and how it kills.

The rounds themselves take minutes and are nobody's unit: `tradebus drill --real --runs 50`.
"""

import os
from pathlib import Path
from typing import Any, cast

import pytest
from testkit.child_services import service
from testkit.exchange_hands import BUY, future, place, still
from typer.testing import CliRunner

from services.cli.brokers.sandbox_admin import SandboxClock
from services.cli.drill.real.judging import order_of
from services.cli.drill.real.plan import INSTANCES, KILLED, STOPPED, TRADING_SECONDS, RealStrike, round_of
from services.cli.drill.real.standing import READY_SECONDS, RealStack
from services.cli.drill.real.striking import RealStriking
from services.cli.main import app
from services.cli.stack.children import Child, started
from services.sandbox.admin.book_summary import order_row
from services.sandbox.faults.rules import FaultRule
from tradebus.kernel.clock import WallClock


def test_a_round_is_drawn_from_its_seeds_and_the_sandbox_takes_its_faults() -> None:
    rounds = [round_of(range(first, first + 10)) for first in range(1, 300, 10)]
    assert rounds[0] == round_of(range(1, 11))
    assert len({one.runs[0].session for one in rounds}) == len(rounds), "each has sessions of its own"
    runs = [run for one in rounds for run in one.runs]
    rules = [FaultRule.model_validate({**rule, "account": run.account}) for run in runs for rule in run.faults]
    assert len({rule.kind for rule in rules}) == 12, "every kind but those of prices"
    strikes = [strike for one in rounds for strike in one.strikes]
    assert {one.kind for one in strikes} == {"killed", "stopped", "Postgres crashes", "Redis crashes"}
    assert all(0 < one.at_seconds < TRADING_SECONDS and one.number < len(INSTANCES) for one in strikes)
    assert all(any(one.kind == KILLED for one in drawn.strikes) for drawn in rounds)


def test_an_order_is_read_from_the_sandboxs_address_as_the_exchange_has_it() -> None:
    exchange = still()
    one = future(exchange)
    theirs = place(exchange, "AB1234", one, BUY, 2, tag="tb1")
    row = order_row(exchange, theirs)
    read = order_of(row, account="AB1234", numbers={str(one.key): one.index})
    assert (read.order_id, read.account, read.status, read.filled_quantity, read.updated_ns, read.request.tag) == (
        theirs.order_id, "AB1234", theirs.status, theirs.filled_quantity, theirs.updated_ns, "tb1",
    )  # fmt: skip
    assert read.request.instrument == one.index
    assert [(trade.trade_id, trade.quantity, trade.price_paise, trade.at_ns) for trade in read.trades] == [
        (f"{theirs.order_id}-{trade.trade_id}", trade.quantity, trade.price_paise, trade.at_ns)
        for trade in theirs.trades
    ]


async def test_an_instance_that_is_killed_runs_again_and_one_that_stands_still_goes_on(tmp_path: Path) -> None:
    child, nothing = Child(service("execution-1"), log=tmp_path / "1.log"), cast(Any, None)
    clock = SandboxClock(0, WallClock().now_ns(), 1.0)
    stack = RealStack(nothing, clock, nothing, nothing, (child,), {}, nothing, tmp_path)
    told: list[str] = []
    strikes = RealStriking(stack, told=told.append)
    await started(child, seconds=READY_SECONDS)
    first = child.pid
    try:
        await strikes.strike([RealStrike(KILLED, 0.0, 0.0, 0), RealStrike(STOPPED, 0.0, 0.05, 0)])
        assert (strikes.kills, strikes.counted, strikes.problems()) == (1, {STOPPED: 1}, [])
        assert child.pid not in (0, first)
        assert all(until_ns > from_ns for from_ns, until_ns in strikes.down_ns["execution-1"])
        assert told == [
            "execution-1 is killed", "execution-1 runs again", "execution-1 stands still for 0.1 s",
            "execution-1 goes on",
        ]  # fmt: skip
        os.kill(child.pid, 9)
        await child.wait()
        [problem] = strikes.problems()
        assert problem.startswith("execution-1 ended")
    finally:
        await child.stop()


@pytest.mark.parametrize("option", [["--trace"], ["--jobs", "2"]])
def test_a_real_drill_refuses_what_it_cannot_do(option: list[str]) -> None:
    run = CliRunner().invoke(app, ["drill", "--real", "--runs", "1", *option])
    assert run.exit_code != 0
    assert "--real" in str(run.exception)
