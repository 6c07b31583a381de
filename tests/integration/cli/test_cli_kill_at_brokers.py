"""`tradebus kill` with execution, Redis and Postgres dead: what is ours at the sandbox's three faces is closed, by the
sandbox's own book; what is not ours is left alone."""

import asyncio
import os
from pathlib import Path

import pytest
from testkit.exchange_hands import BUY, SELL
from testkit.execution_sandbox import FACES
from testkit.kill_hands import KillHands
from testkit.sandbox import sandbox

from services.cli.stack.rundir import RunState, ServiceState, runs_folder, write_run
from tradebus.brokers.credentials import Credentials
from tradebus.trading.orders import Product


@pytest.fixture
def hands(tmp_path):
    with sandbox(seed=3, instruments=300, limit_scale=0, opening_paise=10**13) as box:
        made = KillHands(box, tmp_path)
        made.log_in()
        yield made


async def test_every_account_is_flat_and_a_second_kill_does_nothing(hands: KillHands) -> None:
    for face in FACES:
        hands.enter(face)
        hands.place(face, SELL, cause="stop", trigger_share=0.97)
    assert all(hands.held(face) for face in FACES)
    said = await hands.kill()
    assert [hands.held(face) for face in FACES] == [0, 0, 0]
    assert [hands.resting(face) for face in FACES] == [[], [], []]
    assert said["flat"] is True
    for face in FACES:
        account = said["of"][face]
        assert (account["flat"], account["by"], account["held"], account["problem"]) == (True, "tradebus kill", {}, "")
        assert len(account["cancelled"]) == 1
        assert list(account["closed"].values()) == [-hands.instrument().lot_size]
    orders = {face: len(hands.orders(face)) for face in FACES}
    again = await hands.kill("--at-broker", code=1)
    assert {account["by"] for account in again["accounts"]} == {""}
    assert {face: len(hands.orders(face)) for face in FACES} == orders
    engaged = {face: hands.box.on_loop(hands.box.exchange.kill_switch, face.upper()) for face in FACES}
    assert engaged == {"kite": False, "dhan": True, "upstox": True}
    assert [again["of"][face]["at_broker"] for face in ("dhan", "upstox")] == ["", ""]
    assert "kite: offers no kill switch to programs" in again["of"]["kite"]["at_broker"]
    assert "every account is flat, but not every broker's own switch is engaged: kite:kite" in again["stderr"]


async def test_what_our_tags_do_not_explain_is_left_alone_and_said(hands: KillHands) -> None:
    lot = hands.instrument().lot_size
    hands.enter("kite")
    hands.place("kite", BUY, quantity=2 * lot)  # somebody else's, in the same contract
    theirs = hands.place("kite", SELL, quantity=2 * lot, trigger_share=0.97)
    hands.place("dhan", SELL, quantity=lot)
    hands.enter("dhan")  # bought back what somebody else had sold: nothing of ours is there any more
    hands.place("upstox", BUY, cause="carried", product=Product.CARRY)
    said = await hands.kill("--at-broker", code=1)
    assert (hands.held("kite"), hands.held("dhan"), hands.held("upstox")) == (2 * lot, 0, lot)
    assert said["of"]["upstox"]["at_broker"].startswith(f"not engaged: +{lot} NIFTY26DECFUT would be locked in")
    assert f"order {theirs.order_id}" in said["of"]["kite"]["at_broker"]
    assert not hands.box.on_loop(hands.box.exchange.kill_switch, "UPSTOX")
    assert [order.order_id for order in hands.resting("kite")] == [theirs.order_id]
    (left,) = said["of"]["kite"]["left"]
    assert f"{2 * lot} held" in left
    assert theirs.order_id in left
    assert len(hands.orders("dhan")) == 2
    assert len(hands.orders("upstox")) == 1


async def test_a_stop_of_somebody_else_on_what_is_closed_whole_is_cancelled_and_named(hands: KillHands) -> None:
    hands.enter("kite")
    theirs = hands.place("kite", SELL, trigger_share=0.97)  # it would open a position once ours is closed
    said = await hands.kill()
    assert (hands.held("kite"), hands.resting("kite")) == (0, [])
    (cancelled,) = said["of"]["kite"]["cancelled"]
    assert theirs.order_id in cancelled
    assert "not ours" in cancelled


async def test_a_brokers_trigger_on_what_is_closed_whole_is_deleted(hands: KillHands) -> None:
    hands.enter("kite")
    trigger_id = hands.two_legs("kite")
    said = await hands.kill()
    assert hands.held("kite") == 0
    [trigger] = hands.box.on_loop(hands.box.exchange.triggers, "KITE")
    assert (trigger.trigger_id, trigger.status.value) == (trigger_id, "CANCELLED")
    (cancelled,) = said["of"]["kite"]["cancelled"]
    assert trigger_id in cancelled


async def test_everything_is_closed_where_a_person_says_so(hands: KillHands) -> None:
    lot = hands.instrument().lot_size
    hands.enter("kite")
    hands.place("kite", BUY, quantity=2 * lot)
    hands.place("kite", SELL, quantity=2 * lot, trigger_share=0.97)
    hands.place("dhan", SELL, quantity=lot)
    refused = hands.shell("kill", "--everything", code=1)
    assert "Type: everything" in refused.stdout
    assert hands.held("kite") == 3 * lot
    said = await hands.kill("--everything", "--yes")
    assert [hands.held(face) for face in FACES] == [0, 0, 0]
    assert hands.resting("kite") == []
    assert said["of"]["kite"]["closed"] == {"NIFTY26DECFUT": -3 * lot}
    assert len(hands.orders("dhan")) == 2  # one exit, and none too many while positions lag


@pytest.mark.parametrize("face", FACES)
async def test_a_face_that_answers_nothing_holds_up_no_other_and_is_not_called_flat(
    hands: KillHands, face: str
) -> None:
    others = [other for other in FACES if other != face]
    for one in FACES:
        hands.enter(one)
    hands.box.fault("DELAY", broker=face, seconds=3600)
    said = await hands.kill("--seconds", "8", code=1)
    assert [hands.held(other) for other in others] == [0, 0]
    assert [said["of"][one]["flat"] for one in (face, *others)] == [False, True, True]
    assert said["flat"] is False


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("fault", ["ACCEPT_THEN_DROP", "DROP"])
async def test_an_exit_whose_answer_is_lost_is_looked_up_before_another_is_sent(
    hands: KillHands, face: str, fault: str
) -> None:
    hands.enter(face)
    hands.box.fault(fault, broker=face, endpoint="POST *", count=1)
    said = await hands.kill()
    assert hands.held(face) == 0
    assert said["of"][face]["flat"] is True
    assert len(hands.orders(face)) == 2  # entry and one exit, whether the first of the requests had arrived or not


async def test_options_and_what_is_above_the_freeze_quantity_are_closed(hands: KillHands) -> None:
    option = next(
        one for one in hands.box.exchange.instruments
        if one.key.is_option and one.key.name == "NIFTY" and hands.box.exchange.quotes["price_paise"][one.index] > 5000
    )  # fmt: skip
    future = hands.instrument()
    assert future.freeze_quantity is not None
    most = future.freeze_quantity // future.lot_size * future.lot_size
    for face in FACES:
        hands.enter(face, key=str(option.key))
        for number in range(2):
            hands.enter(face, cause=f"entry {number}", quantity=most)
    held = {face: hands.held(face) for face in FACES}
    assert max(held.values()) > future.freeze_quantity
    await hands.kill()
    for face in FACES:
        assert (hands.held(face), hands.held(face, str(option.key))) == (0, 0)
        exits = [order for order in hands.orders(face) if order.request.transaction is SELL]
        assert {order.asked.order_type.value for order in exits if order.asked.instrument == option.index} == {"LIMIT"}
        assert max(order.asked.quantity for order in exits) <= most


async def test_a_login_that_ended_is_named_with_what_to_do_and_no_secret_is_said(hands: KillHands) -> None:
    hands.enter("kite")
    token = Credentials(hands.state).get("kite").access_token
    hands.box.on_loop(hands.box.exchange.log_out, token)
    said = await hands.kill("--seconds", "5", code=1)
    assert "tradebus login --broker kite" in said["of"]["kite"]["problem"]
    assert "NOT FLAT" in said["stderr"]
    assert token not in said["stderr"]
    assert hands.held("kite") == hands.instrument().lot_size


async def test_with_the_book_stopped_and_execution_alive_every_account_is_flat_in_time(
    hands: KillHands, tmp_path: Path
) -> None:
    """A server that is stopped takes connections and answers none: execution, ready or not, can decide nothing."""
    silent, ready = await asyncio.start_server(never, "127.0.0.1", 0), await asyncio.start_server(fine, "127.0.0.1", 0)
    hands.shell.environment["DATABASE_URL"] = f"postgresql://tradebus:x@127.0.0.1:{port_of(silent)}/book"
    folder = runs_folder(tmp_path) / "default"
    folder.mkdir(parents=True)
    lives = {"execution": ServiceState(os.getpid(), port_of(ready), 0, "")}
    write_run(
        folder, RunState("default", "up", "twin", 2**22 + 1, "", str(tmp_path), "", "", "", "", services=lives)
    )  # fmt: skip
    for face in FACES:
        hands.enter(face)
        hands.place(face, SELL, cause="stop", trigger_share=0.97)
    said = await hands.kill("--seconds", "10")  # not flat by then, it leaves with 1
    assert [hands.held(face) for face in FACES] == [0, 0, 0]
    assert {account["by"] for account in said["accounts"]} == {"tradebus kill"}
    assert {one["postgres"] for one in said["stacks"]} == {"no answer in 4 s"}
    silent.close()
    ready.close()


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def fine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
