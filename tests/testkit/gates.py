"""A machine on which every gate of preflight is open: drilled, stated, accepted, on a day of trading."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from testkit.execution_brokers import TEN
from testkit.fake_broker import FakeBroker
from testkit.scripted_server import Reply, ScriptedServer
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.calendar.review import review
from tradebus.kernel.clock import WallClock
from tradebus.preflight.accepted_rules import AcceptedRules
from tradebus.preflight.build import build_name
from tradebus.preflight.drill_record import RUNS_MIN, DrillRecord, write_drill

ADDRESS, ACCOUNT, LOGIN = "203.0.113.7", "AB1234", "real"


@contextmanager
def open_gates(state_dir: Path, *, name: str = "kite") -> Iterator[tuple[FakeBroker, dict[str, Any]]]:
    """The broker, and fields of the settings; the login is stored as LOGIN."""
    broker = FakeBroker(name)
    broker.session.account = ACCOUNT
    Credentials(state_dir).put(LOGIN, Credential(name, "key", access_token="t", account=ACCOUNT))
    write_drill(state_dir, DrillRecord(build_name(), RUNS_MIN, 1, True, "2026-11-25T08:00:00+05:30"))
    day = date(2026, 11, 25)
    AcceptedRules(state_dir).accept(review(day), day=day)
    with ScriptedServer(lambda _: Reply(f"{ADDRESS}\n".encode(), content_type="text/plain")) as echo:
        yield broker, {
            "static_ip": f"198.51.100.9, {ADDRESS}", "address_echo_url": echo.url, "state_dir": state_dir,
            "market_clock": f"{TEN}@{WallClock().now_ns()}x1",
        }  # fmt: skip
