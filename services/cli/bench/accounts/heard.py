"""When what execution tells of a position was heard: the moments that are measured."""

import asyncio
from collections import defaultdict

from tradebus.bus.port import Bus
from tradebus.contracts.orders import OrderCancelled, OrderPlaced, OrderRejected, PositionClosed, StopPlaced
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import ORDERS
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import Unavailable

ENTRY_PLACED, EXIT_PLACED = f"{OrderPlaced.TYPE} ENTRY", f"{OrderPlaced.TYPE} EXIT"
PROTECTED, CLOSED = f"{StopPlaced.TYPE} STOP", PositionClosed.TYPE
# Words after which an entry will not be in the market any more.
REFUSED = frozenset({f"{OrderRejected.TYPE} ENTRY", f"{OrderCancelled.TYPE} ENTRY"})
_SECONDS = 60.0


class Heard:
    """Follows `orders.v1`. Moments are monotonic, in ns."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._words: defaultdict[str, dict[str, int]] = defaultdict(dict)  # by position: what, when
        self._reasons: dict[str, str] = {}  # why an entry was refused
        self._more: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def run(self) -> None:
        """Until cancelled."""
        after = {ORDERS.name: "0"}
        while True:
            for entry in await self._bus.follow([ORDERS.name], after=after, block_ms=1000):
                after[entry.stream] = entry.entry_id
                if entry.body:
                    self._hear(entry.body, monotonic_ns())

    async def moment(self, pos_id: str, what: str, *, seconds: float = _SECONDS) -> int:
        """When it was said of the position. Raises Unavailable where its entry is refused instead, or nothing comes."""
        word, at_ns = await self.first(pos_id, what, seconds=seconds)
        if word != what:
            raise Unavailable(f"bench accounts: waited for {what} and heard {word}: {self._reasons.get(pos_id, '')}")
        return at_ns

    async def first(self, pos_id: str, what: str, *, seconds: float = _SECONDS) -> tuple[str, int]:
        """The word that was waited for, or how the entry was refused, and when. Raises Unavailable for neither."""
        words, more = self._words[pos_id], self._more[pos_id]
        try:
            async with asyncio.timeout(seconds):
                while not (found := ({what} | REFUSED) & words.keys()):
                    more.clear()
                    await more.wait()
        except TimeoutError:
            heard = ", ".join(words) or "nothing"
            raise Unavailable(f"bench accounts: no {what} in {seconds:g} s; heard {heard}") from None
        word = what if what in found else found.pop()
        return word, words[word]

    def _hear(self, body: bytes, at_ns: int) -> None:
        message = parse(body)
        if message.pos_id:
            word = f"{message.TYPE} {getattr(message, 'role', '')}".strip()
            self._words[message.pos_id].setdefault(word, at_ns)
            if isinstance(message, OrderRejected | OrderCancelled) and word in REFUSED:
                self._reasons[message.pos_id] = message.reason
            self._more[message.pos_id].set()
