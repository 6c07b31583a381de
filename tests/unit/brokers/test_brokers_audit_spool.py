"""Requests spooled on the local disk: none that left is lost, whatever dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tradebus.audit.exchange import BrokerExchange
from tradebus.brokers.audit.log import Ending, on_behalf_of
from tradebus.brokers.audit.spool import LEFT_OUT, Spool, left_behind
from tradebus.kernel.clock import EventClock
from tradebus.kernel.ids import RandomIds

ANSWERED = Ending(200, "{}", 2, "ab")
_DIES = """
import os, sys
from pathlib import Path
from tradebus.brokers.audit.log import Ending
from tradebus.brokers.audit.spool import Spool
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import RandomIds
spool = Spool(Path(sys.argv[1]), name="execution-1", clock=WallClock(), ids=RandomIds())
log = spool.of("kite:mine")
log.ended(log.sent("POST", "http://b/orders", "first"), Ending(200, "{}", 2, "ab"))
log.sent("POST", "http://b/orders", "second")
print("sent", flush=True)
sys.stdin.read()
"""


class Time(EventClock):
    """A second later whenever it is asked."""

    def now_ns(self) -> int:
        self.advance(super().now_ns() + 1_000_000_000)
        return super().now_ns()


def spool(folder: Path, **options) -> Spool:
    return Spool(folder, name="execution-1", clock=Time(), ids=RandomIds(), **options)


def kept(one: Spool) -> list[BrokerExchange]:
    """What it hands over, once it is in the book."""
    taken = one.take()
    one.kept(taken)
    return taken.exchanges


def bodies(exchanges) -> list[str]:
    return [one.body for one in exchanges]


def test_an_exchange_is_handed_over_once_with_its_reply_and_whose_it_is(tmp_path: Path) -> None:
    one = spool(tmp_path)
    log = one.of("kite:mine")
    with on_behalf_of(session_id="s1", pos_id="p1"):
        number = log.sent("POST", "http://b/orders", "a")
    log.ended(number, ANSWERED)
    [found] = kept(one)
    assert (found.account, found.sent_by, found.method, found.body) == ("kite:mine", "execution-1", "POST", "a")
    assert (found.session_id, found.pos_id, found.status, found.reply) == ("s1", "p1", 200, "{}")
    assert found.sent_at == "1970-01-01T05:30:01.000000+05:30"
    assert found.answered_at > found.sent_at
    assert kept(one) == []
    assert one.waiting_bytes == 0


def test_what_is_under_way_is_handed_over_once_it_has_ended(tmp_path: Path) -> None:
    one = spool(tmp_path)
    log = one.of("kite:mine")
    slow, quick = log.sent("POST", "http://b/orders", "slow"), log.sent("POST", "http://b/orders", "quick")
    log.ended(quick, ANSWERED)
    assert bodies(kept(one)) == ["quick"]
    assert kept(one) == []
    log.ended(slow, ANSWERED)
    assert bodies(kept(one)) == ["slow"]


def test_what_the_book_did_not_take_is_handed_over_again(tmp_path: Path) -> None:
    one = spool(tmp_path)
    log = one.of("kite:mine")
    log.ended(log.sent("POST", "http://b/orders", "a"), ANSWERED)
    one.put_back(one.take())
    log.ended(log.sent("POST", "http://b/orders", "b"), ANSWERED)
    assert bodies(kept(one)) == ["a", "b"]


def book_is_away(folder: Path) -> None:
    with left_behind(folder) as taken:
        assert bodies(taken.exchanges) == ["first", "second"]
        raise ZeroDivisionError


def test_a_process_that_is_killed_leaves_all_that_it_sent(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "sent\n"
        with left_behind(tmp_path) as taken:
            assert taken.exchanges == [], "it lives: it hands over by itself"
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ZeroDivisionError):
        book_is_away(tmp_path)
    with left_behind(tmp_path) as taken:
        assert [(one.body, one.status) for one in taken.exchanges] == [("first", 200), ("second", None)]
    with left_behind(tmp_path) as taken:
        assert (taken.exchanges, list(tmp_path.iterdir())) == ([], [])


def test_half_a_line_and_a_line_of_nonsense_cost_nothing_else(tmp_path: Path) -> None:
    one = spool(tmp_path)
    log = one.of("kite:mine")
    log.ended(log.sent("POST", "http://b/orders", "a"), ANSWERED)
    one.close()
    [file] = tmp_path.glob("*/*.jsonl")
    file.write_bytes(b'{"sent":{"exchange_id":1}}\n[]\n{"ended":{"exchange_id":"x"}}\n' + file.read_bytes() + b'{"sen')
    with left_behind(tmp_path) as taken:
        assert bodies(taken.exchanges) == ["a"]


def test_a_spool_without_room_leaves_out_what_only_reads_and_says_how_many(tmp_path: Path) -> None:
    one = spool(tmp_path, bytes_max=2_000)
    log = one.of("kite:mine")
    for number in range(40):
        log.ended(log.sent("GET", "http://b/orders", f"read {number}"), ANSWERED)
    log.ended(log.sent("DELETE", "http://b/orders/1", "cancel"), ANSWERED)
    found = kept(one)
    left_out = [row for row in found if row.method == LEFT_OUT]
    assert [row.problem.split()[0] for row in left_out] == [str(one.left_out_total)]
    assert len(found) - 2 + one.left_out_total == 40
    assert "cancel" in bodies(found)
    log.ended(log.sent("GET", "http://b/orders", "again"), ANSWERED)
    assert bodies(kept(one)) == ["again"], "there is room again"


def test_a_disk_that_takes_nothing_is_bridged_in_memory(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.write_text("no folder can be made here")
    one = spool(folder)
    log = one.of("kite:mine")
    log.ended(log.sent("POST", "http://b/orders", "a"), ANSWERED)
    slow = log.sent("POST", "http://b/orders", "b")
    one.put_back(one.take())
    folder.unlink()
    log.ended(slow, ANSWERED)
    assert bodies(kept(one)) == ["a", "b"]
    log.ended(log.sent("POST", "http://b/orders", "c"), ANSWERED)
    assert bodies(kept(one)) == ["c"]


def test_a_spool_that_nothing_was_written_to_makes_nothing(tmp_path: Path) -> None:
    one = spool(tmp_path / "audit")
    assert kept(one) == []
    one.close()
    assert list(tmp_path.iterdir()) == []
