"""`tradebus demo --broker`: the whole stack against the sandbox exchange, and in the end the ledger equals its book."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRADEBUS = str(Path(sys.executable).with_name("tradebus"))
ROUTES = [("kite", "kite"), ("dhan", "upstox"), ("upstox", "dhan")]


@pytest.mark.parametrize(("broker", "orders_broker"), ROUTES, ids=lambda name: name)
def test_the_ledger_of_a_morning_is_the_exchanges_book(servers, state_dir, broker: str, orders_broker: str) -> None:
    environment = {
        **os.environ, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url,
        "TRADEBUS_STATE_DIR": str(state_dir),
    }  # fmt: skip
    done = subprocess.run(
        [TRADEBUS, "demo", "--broker", broker, "--orders-broker", orders_broker, "--minutes", "25", "--speed", "120",
         "--port", "0", "--day", "2026-11-25", "--json"],
        env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["ledger_equals_book"] is True
    assert figures["differences"] == []
    assert figures["trades"] >= 1
    assert figures["fills"] >= 2 * figures["trades"]
    assert figures["open_trades"] == 0
    assert {one["status"] for one in figures["sessions"]} == {"STOPPED"}
    assert figures["bars"] >= 5 * 20
    assert figures["restarts"] == {}
    run_dir = Path(figures["run_dir"])
    written = [path.read_text() for path in run_dir.glob("*.log")] + [done.stdout, done.stderr]
    assert len(written) >= 7, "the services' and the sandbox's logs"
    assert not [text for text in written if "Traceback" in text or "access_token" in text]
