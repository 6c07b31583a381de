"""`tradebus tail` on a stream with nothing in it says so, and what it waits for."""

import json

import pytest
from testkit.waiting import WALL_TIMERS

from services.cli.tailing import show_newest, stream_name
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Outgoing
from tradebus.contracts.streams import COMMANDS


@pytest.mark.parametrize(
    ("stream", "follow", "said"),
    [
        ("orders", True, "orders.v1 is empty: waiting for what execution publishes (Ctrl-C ends)"),
        ("orders", False, "orders.v1 is empty: --follow waits for what execution publishes"),
        ("candles", True, "md.candles.v1.{0} is empty: waiting for what market_data publishes (Ctrl-C ends)"),
        ("inbox", True, "trading.commands.v1 is empty: waiting for what applications send (Ctrl-C ends)"),
        ("intents.v1.{0}.dead", False, "intents.v1.{0}.dead is empty: --follow waits for what services put aside of "
                                       "intents.v1.{0}"),
    ],
)  # fmt: skip
async def test_an_empty_stream_is_said_on_stderr(
    stream: str, follow: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        await show_newest(MemoryBus(timers=WALL_TIMERS), stream_name(stream), count=20, follow=follow, json=False)
        == "0"
    )
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{said}\n")


async def test_one_object_is_printed_of_an_empty_stream_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    await show_newest(MemoryBus(timers=WALL_TIMERS), "orders.v1", count=20, follow=False, json=True)
    assert json.loads(capsys.readouterr().out)["entries"] == []


@pytest.mark.parametrize("count", [0, 1])
async def test_a_stream_with_entries_is_not_called_empty(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    bus = MemoryBus(timers=WALL_TIMERS)
    await bus.publish([Outgoing(COMMANDS.name, "FLATTEN", b"{}")] * 2)
    newest = (await bus.tail(COMMANDS.name, count=1))[0].entry_id
    assert await show_newest(bus, COMMANDS.name, count=count, follow=True, json=False) == newest
    shown = capsys.readouterr()
    assert shown.err == ""
    assert len(shown.out.splitlines()) == count
