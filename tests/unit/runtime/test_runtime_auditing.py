"""From the spool into the book: nothing is lost while the book is away, nothing comes twice, heads are published."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from testkit.waiting import WALL_TIMERS

from tradebus.audit.chain import ChainHead
from tradebus.brokers.audit.log import Ending
from tradebus.brokers.audit.spool import Spool
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.auditing import AuditKeeper, audit_folder, publish_heads, published_heads
from tradebus.store.books import audit_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase


class Stand:
    def __init__(self, state: Path) -> None:
        self.folder, self.database = audit_folder(state, ""), MemoryDatabase()
        self.book = audit_book(MemoryBook(self.database, producer="execution-1"))

    def life(self) -> tuple[AuditKeeper, Spool]:
        spool = Spool(self.folder, name="execution-1", clock=WallClock(), ids=RandomIds())
        return AuditKeeper(self.folder, self.book, spool, timers=WALL_TIMERS, registry=CollectorRegistry()), spool

    async def bodies(self) -> list[str]:
        return [row.exchange.body for row in await self.book.rows("kite:mine", after_seq=0, limit=1_000)]


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def ask(spool: Spool, *bodies: str) -> None:
    log = spool.of("kite:mine")
    for body in bodies:
        log.ended(log.sent("POST", "http://b/orders", body), Ending(200, "{}", 2, "ab"))


async def test_what_was_asked_is_in_the_book_and_its_head_is_published(stand: Stand) -> None:
    keeper, spool = stand.life()
    ask(spool, "a", "b")
    assert await keeper.take_in() == 2
    ask(spool, "c")
    assert await keeper.take_in() == 1
    assert await stand.bodies() == ["a", "b", "c"]
    assert published_heads(stand.folder) == await stand.book.heads()
    assert spool.waiting_bytes == 0


async def test_while_the_book_is_away_all_waits_on_the_disk_and_the_next_life_takes_it_in(stand: Stand) -> None:
    keeper, spool = stand.life()
    stand.database.go_away()
    ask(spool, "a")
    with pytest.raises(Unavailable):
        await keeper.take_in()
    ask(spool, "b")
    with pytest.raises(Unavailable):
        await keeper.take_in()
    spool.close()
    stand.database.come_back()
    keeper, spool = stand.life()
    ask(spool, "c")
    assert await keeper.take_in() == 3
    assert sorted(await stand.bodies()) == ["a", "b", "c"]


async def test_a_commit_whose_answer_was_lost_adds_nothing_twice(stand: Stand) -> None:
    keeper, spool = stand.life()
    ask(spool, "a", "b")
    stand.database.lose_answers(1)
    with pytest.raises(Unavailable):
        await keeper.take_in()
    assert await keeper.take_in() == 2
    assert await stand.bodies() == ["a", "b"]


async def test_where_no_file_can_be_written_the_book_has_it_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("no folder can be made here")
    stand = Stand(tmp_path)
    keeper, spool = stand.life()
    ask(spool, "a", "b")
    assert await keeper.take_in() == 2
    ask(spool, "c")
    assert await keeper.take_in() == 1
    assert await stand.bodies() == ["a", "b", "c"]
    assert published_heads(stand.folder) == []


async def test_a_head_never_goes_back(tmp_path: Path) -> None:
    newer, older = ChainHead("kite:mine", 7, "b" * 64), ChainHead("kite:mine", 6, "a" * 64)
    publish_heads(tmp_path, [newer])
    publish_heads(tmp_path, [older, ChainHead("dhan:mine", 1, "c" * 64)])
    assert published_heads(tmp_path) == [ChainHead("dhan:mine", 1, "c" * 64), newer]
