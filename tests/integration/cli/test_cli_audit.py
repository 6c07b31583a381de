"""What execution and `tradebus kill` said to brokers is in one audit, which is verified and exported by command."""

import csv
import json

import pytest
from testkit.command import Shell
from testkit.execution_sandbox import SandboxLife, list_future, session_at
from testkit.kill_hands import KillHands
from testkit.sandbox import sandbox

from services.cli.stack.rundir import RunState, runs_folder, write_run
from tradebus.kernel.clock import WallClock
from tradebus.kernel.time import ist_date


@pytest.fixture
def hands(tmp_path, database_url, redis_url, namespace):
    """With a stack that ran here last, in the test's namespace, and is dead."""
    with sandbox(seed=3, instruments=60, limit_scale=0, opening_paise=10**13) as box:
        folder = runs_folder(tmp_path) / "default"
        folder.mkdir(parents=True)
        write_run(folder, RunState("default", "up", namespace, 2**22 + 1, "", str(tmp_path), "", "", "", ""))
        made = KillHands(box, tmp_path, DATABASE_URL=database_url, REDIS_URL=redis_url)
        made.log_in()
        yield made


async def test_every_order_is_in_the_audit_and_a_flipped_byte_is_named(
    hands: KillHands, store, tmp_path, database_url, redis_url, namespace
) -> None:
    await list_future(store)
    where = (database_url, redis_url, namespace)
    async with SandboxLife(where, tmp_path, hands.box, began_wall_ns=WallClock().now_ns()) as life:
        await life.started(session_at("kite"))
        entry = life.entry("kite", 1)
        await life.opened(entry)
    await hands.kill()

    shell, at = hands.shell, ("--namespace", namespace)
    said = shell.json("audit", "verify", *at)
    assert (said["sound"], said["faults"]) == (True, [])
    heads = {head.rsplit(":", 2)[0]: head for head in said["heads"]}

    today = ist_date(WallClock().now_ns()).isoformat()
    lines = shell("audit", "export", "--from", today, "--to", today, "--account", "kite:kite", *at).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    orders = [row for row in rows if row["method"] == "POST"]
    by = {row["sent_by"].partition("-")[0] for row in orders}
    assert by == {"execution", "kill"}
    assert {row["pos_id"] for row in orders if row["sent_by"] == "execution-1"} == {entry.pos_id}
    assert {row["session_id"] for row in orders if row["sent_by"] == "execution-1"} == {"kite"}
    tags = [one.request.tag for one in life.at_the_exchange("kite")]
    assert len(tags) >= 3
    assert all(any(tag in row["body"] for row in orders) for tag in tags)
    token = hands.box.token("kite", "KITE")
    assert token not in "".join(lines)

    out = tmp_path / "audit.csv"
    shell("audit", "export", "--from", today, "--to", today, "--format", "csv", "--out", str(out), *at)
    with out.open(newline="") as file:
        assert {row["account"] for row in csv.DictReader(file)} >= {"kite:kite"}

    number = rows[2]["seq"]
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE broker_audit SET reply = overlay(reply placing 'x' from 2 for 1)"
            " WHERE account = 'kite:kite' AND seq = $1", number,
        )  # fmt: skip
    told = shell("audit", "verify", *at, code=1).stderr
    assert f"kite:kite row {number}: was altered" in told

    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM broker_audit WHERE account = 'kite:kite'")
    told = shell("audit", "verify", *at, "--head", heads["kite:kite"], code=1).stderr
    assert "kite:kite row 1: is gone, and all after it" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "--head", "nonsense"), "--head 'nonsense'"),
        (("export", "--from", "yesterday", "--to", "2026-12-01"), "--from 'yesterday'"),
        (("export", "--from", "2026-12-02", "--to", "2026-12-01"), "is not before"),
        (("export", "--from", "2026-12-01", "--to", "2026-12-01", "--format", "xml"), "--format 'xml'"),
        (("verify", "--account", "kite:nobody"), "--account kite:nobody"),
    ],
)
def test_bad_input_is_named(tmp_path, database_url, redis_url, migrated, arguments, said) -> None:
    shell = Shell.at(tmp_path, DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert said in shell("audit", *arguments, "--namespace", migrated, code=2).stderr
