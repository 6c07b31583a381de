"""`tradebus export`: the book's journals as files a person opens, on a real Postgres."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from testkit.execution_books import register
from testkit.filled_book import MORNING_NS, SECOND_NS, put_signals, put_trade

from services.cli.journals.run import run_export
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.store.book import Book
from tradebus.store.books import session_register
from tradebus.store.store import Store

SHARE = Instrument(
    instrument_id=1, symbol="TCS", kind="EQUITY", market_class="equity_fno", underlying="TCS", tick_size_paise=5
)  # fmt: skip
DAY = {"from_text": "2024-01-02", "to_text": "2024-01-02"}  # of MORNING_NS
ALL = {"only": [], "user": None, "overwrite": False, "stack": None, "json": False}


@pytest.fixture
async def book(store: Store) -> Book:
    """Ann's and Bob's day: a trade each, and Ann's signals."""
    await register(store, SHARE)
    sessions = session_register(store)
    for user_id in ("ann", "bob"):
        spec = SessionSpec(
            session_id=f"s-{user_id}", user_id=user_id, symbols=("TCS",), strategies=({"name": "orb"},),
            capital_paise=10_000_000,
        )  # fmt: skip
        async with store.begin() as transaction:
            await sessions.insert(transaction, spec, command_id=f"c-{user_id}", now_ns=1)
            await sessions.end(
                transaction, f"s-{user_id}", SessionStatus.FAILED, seen=SessionStatus.STARTING, now_ns=9, reason="why"
            )
    await put_trade(store, 1, session_id="s-ann", user_id="ann", instrument=SHARE, exited=30, net_pnl_paise=-12_345)
    await put_trade(store, 2, session_id="s-bob", user_id="bob", instrument=SHARE, strategy="=cmd()")
    await put_signals(store, session_id="s-ann", user_id="ann", instrument=SHARE)
    return store


@pytest.fixture
def place(database_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return {**DAY, **ALL, "namespace": namespace}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("book")
async def test_every_journal_of_a_day_is_written(place: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    await run_export(**place, folder=out)
    assert names(out) == [
        "arm.jsonl", "events.jsonl", "fills.csv", "orders.csv", "signal.jsonl", "signals.csv", "trades.csv",
    ]  # fmt: skip
    orders = table(out / "orders.csv")
    assert [(row["user_id"], row["state"], row["price_rupees"], row["filled_quantity"]) for row in orders] == [
        ("ann", "FILLED", "50000.05", "30"), ("bob", "FILLED", "50000.05", "30"),
    ]  # fmt: skip
    assert orders[0]["placed"] == "2024-01-02T09:17:01.000+05:30"
    assert orders[0]["signal"].endswith("+05:30")
    assert orders[1]["strategy"] == "'=cmd()"
    assert [(row["user_id"], row["net_pnl_rupees"]) for row in table(out / "trades.csv")] == [
        ("ann", "-123.45"), ("bob", ""),
    ]  # fmt: skip
    decided = table(out / "signals.csv")
    assert [(row["action"], row["reason"], row["stop_rupees"], row["confidence"]) for row in decided] == [
        ("HOLD", "no setup", "", ""), ("ENTER_LONG", "breakout", "49900.00", "0.5"), ("EXIT", "done", "", ""),
    ]  # fmt: skip
    lines = [json.loads(line) for line in (out / "signal.jsonl").read_text().splitlines()]
    assert [line["event_id"] for line in lines] == ["s-ann-enter", "s-ann-exit"]
    assert (out / "arm.jsonl").read_text() == ""
    assert table(out / "fills.csv") == []
    assert (out / "fills.csv").read_text().startswith("time,user_id,")


@pytest.mark.usefixtures("book")
async def test_one_user_one_journal_and_a_window_to_the_second(
    place: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run_export(**place | {"only": ["orders,trades"], "user": "bob", "json": True}, folder=tmp_path)
    assert names(tmp_path) == ["orders.csv", "trades.csv"]
    assert [row["user_id"] for row in table(tmp_path / "orders.csv")] == ["bob"]
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["rows"] == {"orders.csv": 1, "trades.csv": 1}
    assert "orders.csv: 1 rows" in said.err
    window = {"from_text": "2024-01-02T09:17:01", "to_text": "2024-01-02T09:17:02", "only": ["orders"]}
    await run_export(**place | window | {"overwrite": True}, folder=tmp_path)
    assert [row["user_id"] for row in table(tmp_path / "orders.csv")] == ["ann"]
    assert MORNING_NS % (60 * SECOND_NS) == 0


@pytest.mark.usefixtures("book")
async def test_what_is_there_stays_and_nothing_is_half_written(place: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "trades.csv").write_text("mine")
    with pytest.raises(InvalidInput, match=r"trades\.csv is there already"):
        await run_export(**place, folder=tmp_path)
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(InvalidInput, match="cannot be written"):
        await run_export(**place | {"overwrite": True, "only": ["events"]}, folder=tmp_path)
    assert names(tmp_path) == ["events.jsonl", "trades.csv"]
    assert (tmp_path / "trades.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"only": ["order"]}, "--only 'order': known are orders, fills"),
        ({"from_text": "2024-01-03"}, "--from 2024-01-03 is not before --to 2024-01-02"),
        ({"to_text": "tomorrow"}, "--to 'tomorrow': write a day"),
    ],
)
async def test_what_is_asked_for_wrongly_is_named(
    place: dict[str, Any], tmp_path: Path, wrong: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        await run_export(**place | wrong, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_a_folder_that_cannot_be_made_and_a_book_that_is_not_there(place: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be made"):
        await run_export(**place, folder=tmp_path / "file")
    with pytest.raises(Unavailable):
        await run_export(**place | {"namespace": "nowhere"}, folder=tmp_path / "out")
