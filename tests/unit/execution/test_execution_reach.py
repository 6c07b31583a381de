"""How long an account's order book is unread, over the lives of a process."""

from services.execution.accounts.reach import AccountReach
from services.execution.books.standings import MemoryStandings
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.memory_book import MemoryBook, MemoryDatabase

SECOND = 1_000_000_000


class Machine:
    """Lives on one machine and book; two minutes are too long."""

    def __init__(self) -> None:
        self.timers = SimulatedTimers(1_000 * SECOND)
        self._standings = MemoryStandings(MemoryBook(MemoryDatabase(), producer="test-1"))

    def life(self) -> AccountReach:
        return AccountReach("kite:mine", self._standings, lost_seconds=120, clock=self.timers, timers=self.timers)

    def passes(self, seconds: int) -> None:
        self.timers.advance(self.timers.now_ns() + seconds * SECOND)


async def test_lives_that_each_end_sooner_count_together() -> None:
    machine = Machine()
    for _ in range(3):
        life = machine.life()
        assert not await life.unread()
        machine.passes(39)
        assert not await life.unread()
        machine.passes(1)
    assert await machine.life().unread()


async def test_what_was_read_since_counts_anew_in_this_life_and_the_next() -> None:
    machine = Machine()
    life = machine.life()
    machine.passes(100)
    assert not await life.unread()
    await life.read()
    machine.passes(100)
    assert not await life.unread()
    assert not await machine.life().unread()
    machine.passes(20)
    assert await life.unread()


async def test_a_time_in_which_nobody_looked_is_no_evidence() -> None:
    machine = Machine()
    assert not await machine.life().unread()
    machine.passes(121)
    assert not await machine.life().unread()
    machine.passes(120)
    assert await machine.life().unread(), "from the second life's look on"
