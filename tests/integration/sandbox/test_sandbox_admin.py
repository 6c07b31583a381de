"""The admin address, the settings, and the sandbox as a process and in a thread."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from testkit.exchange_hands import BUY, future, place, still
from testkit.sandbox import sandbox

from services.sandbox.admin.http import create_admin
from services.sandbox.bootstrap import rules_from
from services.sandbox.faults.rules import RuleFaults
from services.sandbox.load.measure import measure_sandbox
from services.sandbox.options import MarketOptions
from services.sandbox.settings import SandboxSettings
from tradebus.config.settings import load_settings
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

ROOT = Path(__file__).parents[3]


@pytest.fixture
def exchange():
    return still()


@pytest.fixture
def admin(exchange):
    return TestClient(create_admin(exchange, RuleFaults(lambda: exchange.now_ns)))


def test_a_login_makes_the_account_and_its_book_can_be_read(admin, exchange):
    assert admin.get("/accounts/AB1234").status_code == 404
    token = admin.post("/accounts/AB1234/login/kite").json()
    assert len(token["access_token"]) == 48
    assert admin.post("/accounts/AB1234/funds", json={"cash_paise": 5_000_000_00}).status_code == 200
    one = future(exchange)
    order = place(exchange, "AB1234", one, BUY, 1, tag="tb1")
    book = admin.get("/accounts/AB1234").json()
    assert book["opening_paise"] == 5_000_000_00
    assert book["trades"] == 1
    (row,) = book["orders"]
    assert (row["order_id"], row["tag"], row["status"]) == (order.order_id, "tb1", "COMPLETE")
    assert row["trades"][0]["price_paise"] == order.average_price_paise
    (position,) = book["positions"]
    assert position["key"] == "NFO:NIFTY:2026-12-29:FUT"
    assert book["pnl_paise"] == position["realised_paise"] + position["unrealised_paise"]
    assert admin.get("/accounts").json() == ["AB1234"]


def test_every_change_of_an_accounts_orders_is_told_once_to_who_has_begun_to_listen(admin, exchange):
    admin.post("/accounts/AB1234/login/kite")
    assert admin.get("/accounts/AB1234/changes").json() == []
    order = place(exchange, "AB1234", future(exchange), BUY, 1, tag="tb1")
    told = admin.get("/accounts/AB1234/changes").json()
    assert {row["order_id"] for row in told} == {order.order_id}
    assert (told[-1]["status"], told[-1]["updated_ns"]) == ("COMPLETE", order.updated_ns)
    assert admin.get("/accounts/AB1234/changes").json() == []


def test_the_clock_is_read_and_moved_by_hand(admin, exchange):
    assert admin.get("/clock").json()["indian_time"] == "2026-11-25T10:00:00+05:30"
    assert admin.post("/clock/advance", json={"seconds": 30}).json()["indian_time"] == "2026-11-25T10:00:30+05:30"
    assert admin.post("/clock/advance", json={"seconds": -1}).status_code == 422
    assert admin.get("/health").json()["status"] == "ok"


async def test_who_asks_while_the_clock_is_moved_far_is_answered_on_the_way(exchange):
    begin, seen = exchange.now_ns, set()
    moving = [asyncio.create_task(exchange.advance_in_turns(seconds)) for seconds in (60, 30)]
    while not all(task.done() for task in moving):
        seen.add(exchange.now_ns)
        await asyncio.sleep(0)
    assert len(seen) > 6
    assert exchange.now_ns == begin + 90 * NANOSECONDS_PER_SECOND


async def test_moving_in_turns_over_a_night_comes_to_the_same_market():
    one, other = still("2026-11-25T15:39:50"), still("2026-11-25T15:39:50")
    seconds = 17 * 3600 + 35 * 60 + 20.5  # until the next morning's 09:15:10.5
    await one.advance_in_turns(seconds)
    other.advance(seconds)
    assert one.now_ns == other.now_ns
    assert (one.quotes == other.quotes).all()


def test_faults_are_added_listed_and_removed(admin):
    assert admin.post("/faults", json={"kind": "DROP", "endpoint": "POST /orders/*"}).json() == {"id": 1}
    assert admin.post("/faults", json={"kind": "LIGHTNING"}).status_code == 422
    (rule,) = admin.get("/faults").json()
    assert (rule["id"], rule["kind"], rule["struck"]) == (1, "DROP", 0)
    assert admin.delete("/faults/1").json() == []
    assert admin.delete("/faults/1").status_code == 404
    assert len(admin.post("/faults/seeded", json={"seed": 3}).json()) > 10
    assert admin.delete("/faults").json() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", '{"kind": "DROP", "probability": NaN}'), ("/faults", '{"kind": "DELAY", "seconds": 1e400}'),
        ("/accounts/A/funds", '{"cash_paise": Infinity}'), ("/clock/advance", '{"seconds": NaN}'),
        ("/market/shock", '{"key": "NSE:INFY", "share": NaN}'),
    ],
)  # fmt: skip
def test_what_is_no_number_is_named_not_stumbled_over(admin, path, body):
    reply = admin.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"][1] in ("probability", "seconds", "cash_paise", "share")


def test_the_market_is_shocked_and_halted(admin):
    key = "NSE:INFY"
    before = admin.get("/market/quote", params={"key": key}).json()["price_paise"]
    after = admin.post("/market/shock", json={"key": key, "share": 0.02}).json()["price_paise"]
    assert after == pytest.approx(before * 1.02, rel=0.003)
    assert admin.post("/market/halt", json={"key": key}).json()["halted"]
    assert admin.post("/market/shock", json={"key": "NSE:NOBODY", "share": 0.1}).status_code == 404
    assert admin.get("/instruments", params={"query": "infy"}).json()[0]["key"] == key


def test_a_bad_variable_is_named(monkeypatch):
    monkeypatch.setenv("TRADEBUS_SANDBOX_SPEED", "fast")
    with pytest.raises(InvalidInput, match="TRADEBUS_SANDBOX_SPEED"):
        load_settings(SandboxSettings)
    with pytest.raises(InvalidInput, match="instruments"):
        MarketOptions(instruments=0)


def test_a_file_of_faults_names_its_bad_field(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text('[{"kind": "DROP"}, {"kind": "DELAY", "seconds": 2}]')
    assert [rule.kind for rule in rules_from(path)] == ["DROP", "DELAY"]
    path.write_text('[{"kind": "DROP", "probability": 3}]')
    with pytest.raises(InvalidInput, match="probability"):
        rules_from(path)
    with pytest.raises(InvalidInput, match="cannot read"):
        rules_from(tmp_path / "none.json")


def test_a_sandbox_in_a_thread_answers_on_four_ports():
    with sandbox(speed=0, instruments=300) as box:
        assert len({box.kite_url, box.dhan_url, box.upstox_url, box.admin_url}) == 4
        token = box.token("kite", "AB1234")
        request = urllib.request.Request(
            f"{box.kite_url}/user/margins", headers={"Authorization": f"token key:{token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert json.load(reply)["status"] == "success"
        box.fault("DROP", endpoint="GET /user/margins", count=1)
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(request, timeout=10)
        before = box.exchange.now_ns
        box.advance(5)
        assert box.exchange.now_ns == before + 5_000_000_000


def test_the_process_says_where_it_listens_and_stops_when_told():
    ports = {f"TRADEBUS_SANDBOX_{name}_PORT": "0" for name in ("KITE", "DHAN", "UPSTOX", "ADMIN")}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.sandbox.main"], stderr=subprocess.PIPE, cwd=ROOT, text=True,
        env={**os.environ, **ports, "TRADEBUS_SANDBOX_INSTRUMENTS": "300", "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}"},
    )  # fmt: skip
    assert process.stderr is not None
    try:
        listening = json.loads(process.stderr.readline())
        with urllib.request.urlopen(f"{listening['admin']}/health", timeout=10) as reply:
            assert json.load(reply)["status"] == "ok"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stderr.close()


def test_the_measurement_counts_what_it_says():
    found = measure_sandbox(
        seconds=0.5, instruments=300, ticks_per_second=500.0, accounts=20, orders_per_second=50.0, settle_seconds=0.2
    )
    assert found["instruments"] == 300
    assert found["accounts"] == 20
    assert found["ticks_per_second"] > 0
    assert found["orders_per_second"] > 0
