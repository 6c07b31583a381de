"""The gates of live trading: open on a machine where all is so; each closes alone, and says what to do."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from testkit.fake_broker import FakeBroker, opening
from testkit.gates import ACCOUNT, ADDRESS, LOGIN, open_gates
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.account import SessionState
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.audit.server_clock import ClockOffset
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.calendar.review import Remark, RemarkKind
from tradebus.config.brokers import BrokerSettings
from tradebus.execution.governor.limits import limits_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns
from tradebus.preflight.accepted_rules import AcceptedRules
from tradebus.preflight.drill_record import DrillRecord, read_drill, write_drill
from tradebus.preflight.gate import Finding
from tradebus.preflight.gates import algo_id
from tradebus.preflight.preflight import Preflight
from tradebus.preflight.registry import GATES
from tradebus.store.books import kill_switch_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase

MILLISECOND = 1_000_000


class Machine:
    def __init__(self, broker: FakeBroker, fields: dict[str, Any]) -> None:
        self.broker, self.fields, self.limit_r = broker, fields, 3.0
        self.state: Path = fields["state_dir"]
        self.book = MemoryBook(MemoryDatabase(), producer="gateway-1")

    async def findings(self, **changes: Any) -> dict[str, Finding]:
        settings = BrokerSettings(
            DATABASE_URL=SecretStr("-"), REDIS_URL=SecretStr("-"), **{**self.fields, **changes}
        )  # fmt: skip
        preflight = Preflight(
            settings, open_broker=opening(self.broker), log_of=unrecorded, switch=kill_switch_book(self.book),
            clock=WALL_TIMERS, timers=WALL_TIMERS,
        )  # fmt: skip
        found = await preflight.ask(broker="kite", credential_name=LOGIN, daily_max_loss_r=self.limit_r)
        assert [one.gate for one in found] == list(GATES)
        assert self.broker.book.requests == [], "nothing but reads leaves"
        return {one.gate: one for one in found}

    def log_in(self, **changes: Any) -> None:
        given = {"access_token": "t", "account": ACCOUNT, **changes}
        Credentials(self.state).put(LOGIN, Credential("kite", "key", **given))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with open_gates(tmp_path / "state") as (broker, fields):
        yield Machine(broker, fields)


def closed(findings: dict[str, Finding]) -> list[str]:
    return [str(one) for one in findings.values() if not one.passed]


async def test_where_all_is_so_every_gate_is_open(machine: Machine) -> None:
    assert closed(await machine.findings()) == []


Spoil = Callable[[Machine], dict[str, Any] | None]


def _token(seconds_from_now: float) -> str:
    said = {"exp": WALL_TIMERS.now_ns() // 10**9 + int(seconds_from_now)}
    return f"a.{base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip('=')}.b"


def _drill(**changes: Any) -> Spoil:
    def spoil(machine: Machine) -> None:
        record = read_drill(machine.state)
        assert record is not None
        fields = {name: getattr(record, name) for name in DrillRecord.__slots__}
        write_drill(machine.state, DrillRecord(**{**fields, **changes}))

    return spoil


def _at(day: date, hour: int) -> Spoil:
    return lambda _: {"market_clock": f"{ist_to_ns(day, time(hour))}@{WALL_TIMERS.now_ns()}x1"}


SPOILT: list[tuple[str, Spoil, str]] = [
    ("credentials_file", lambda m: (m.state / "credentials" / LOGIN).chmod(0o640), "may be read by others (mode 640)"),
    ("credentials_file", lambda m: (m.state / "credentials.key").chmod(0o644), "chmod"),
    ("fresh_token", lambda m: setattr(m.broker.session, "state", SessionState.UNKNOWN), "does not answer"),
    ("fresh_token", lambda m: m.log_in(access_token=_token(-5)), "before the market closes; log in"),
    (
        "account_name",
        lambda m: setattr(m.broker.session, "account", "XY9"),
        "stored as AB1234, and the token",
    ),
    ("account_name", lambda m: m.log_in(account=""), "nobody has said whose it is; the broker says AB1234"),
    ("static_ip", lambda _: {"static_ip": ""}, "none is stated; set TRADEBUS_STATIC_IP"),
    ("static_ip", lambda _: {"static_ip": "198.51.100.1"}, f"we come from {ADDRESS}, and 198.51.100.1 is stated"),
    ("static_ip", lambda m: setattr(m.broker, "addresses", ["198.51.100.1"]), "kite has 198.51.100.1 registered"),
    ("static_ip", lambda _: {"address_echo_url": "http://127.0.0.1:1"}, "try again"),
    ("static_ip", lambda _: {"address_echo_url": "file:///etc/passwd"}, "write an https:// address"),
    ("clock_skew", lambda m: setattr(m.broker, "offset", ClockOffset(600 * MILLISECOND, 900 * MILLISECOND)), "chrony"),
    ("clock_skew", lambda m: setattr(m.broker, "offset", ClockOffset(-9 * 10**9, -8 * 10**9)), "-8000 ms"),
    ("clock_skew", lambda m: setattr(m.broker, "offset", None), "tell no time"),
    ("session_day", _at(date(2026, 11, 28), 10), "start on 2026-11-30"),
    ("session_day", _at(date(2026, 12, 25), 10), "2026-12-25: Christmas"),
    ("session_day", _at(date(2026, 11, 25), 18), "after the last entry"),
    ("market_rules", lambda m: (m.state / "accepted_market_rules.json").unlink(), "tradebus preflight --accept-market"),
    ("risk_limits", lambda m: setattr(m, "limit_r", None), "no limit in R; give the session"),
    ("kill_switch", lambda m: (m.state / ".killswitch").write_text("enough"), "it is engaged (enough)"),
    (
        "kill_switch",
        lambda m: setattr(m.broker, "switched_off", True),
        "own is engaged; look why, then release it at kite",
    ),
    ("drill", _drill(version="0.0.0"), "it was run with 0.0.0"),
    ("drill", _drill(passed=False, seed=77), "did not pass (seed 77)"),
    ("drill", _drill(runs=10), "10 runs are too few"),
    ("drill", lambda m: (m.state / "drill.json").unlink(), "never run here; run it: `tradebus drill"),
    ("drill", lambda m: (m.state / "drill.json").write_text('{"passed": "yes"}'), "run the drill again"),
]


@pytest.mark.parametrize(("gate", "spoil", "said"), SPOILT, ids=[f"{gate} {said}" for gate, _, said in SPOILT])
async def test_each_gate_closes_alone_and_says_what_to_do(machine: Machine, gate: str, spoil: Spoil, said: str) -> None:
    changes = spoil(machine)
    found = await machine.findings(**(changes if isinstance(changes, dict) else {}))
    # Another day has other rules; a broker that does not answer does not say whose the login is either.
    others = {"session_day": {"market_rules"}, "fresh_token": {"account_name"}}.get(gate, set())
    assert {one.gate for one in found.values() if not one.passed} - others == {gate}
    assert said in str(found[gate])
    assert found[gate].remedy


async def test_the_switch_counts_by_its_row_too(machine: Machine) -> None:
    async with machine.book.begin() as transaction:
        await kill_switch_book(machine.book).engage(transaction, reason="dashboard", at_ns=5)
    assert closed(await machine.findings()) == [
        "kill_switch: it is engaged (dashboard); look why, then release it: `tradebus kill --reset`"
    ]


def test_every_gate_has_a_way_to_be_closed() -> None:
    untouched = {"algo_id", "protection"}  # they rest on the release itself
    assert {gate for gate, _, _ in SPOILT} == set(GATES) - untouched


async def test_an_order_rate_that_needs_a_registered_algo_closes_the_gate(machine: Machine, monkeypatch) -> None:
    fast = [replace(limits_of("kite")[0], allowed=40, kept=39)]
    monkeypatch.setattr(algo_id, "limits_of", lambda _: fast)
    assert "more than 10 orders a second" in str((await machine.findings())["algo_id"])


async def test_a_login_that_ended_closes_what_needs_one_and_no_other_gate(machine: Machine) -> None:
    machine.broker.session.state = SessionState.EXPIRED
    assert {line.partition(":")[0] for line in closed(await machine.findings())} == {"fresh_token", "account_name"}


async def test_without_a_login_every_gate_is_closed_and_none_is_left_out(machine: Machine) -> None:
    (machine.state / "credentials" / LOGIN).unlink()
    found = await machine.findings()
    assert len(closed(found)) == len(GATES)
    assert "tradebus login" in str(found["drill"])


def test_what_was_accepted_holds_as_long_as_the_same_is_said(tmp_path: Path) -> None:
    accepted, day = AcceptedRules(tmp_path), date(2026, 12, 1)
    provisional = Remark(RemarkKind.PROVISIONAL, "hours", "hours from 2026-12-07", "…")
    stale = Remark(RemarkKind.STALE, "lots", "lots", "…")
    assert accepted.left([provisional, stale], day=day) == [provisional, stale]
    accepted.accept([provisional, stale], day=day)
    assert accepted.left([provisional, stale], day=day) == []
    assert accepted.left([provisional, stale], day=date(2027, 2, 1)) == [stale]
    other = Remark(RemarkKind.PROVISIONAL, "hours", "hours from 2027-02-08", "…")
    assert accepted.left([other], day=day) == [other]


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 5}', '{"a": "tomorrow"}'])
def test_a_file_of_accepted_rules_that_cannot_be_read_accepts_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "accepted_market_rules.json").write_text(text)
    with pytest.raises(InvalidInput, match="accept again"):
        AcceptedRules(tmp_path).left([], day=date(2026, 12, 1))
