"""The broker of `bench orders`: one book of all logins, which every execution process talks to over a socket.

    process ─► RestingLine ─► place, book, find ─► RestingBook in the bench: notes when it came, answers

An order rests for ever, and whoever asks sees it, whichever process has placed it: what is reconciled with is true.
A line of JSON a question, a line an answer, in their order.
"""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from tradebus.brokers.errors import NoAnswer
from tradebus.contracts.orders import Transaction
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import Unavailable
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderRequest

NAME = "kite"
_PATIENCE_SECONDS = 60.0
_LINE_BYTES_MAX = 2**24


class RestingBook:
    """`came_ns` is when each order came, on the wall's clock."""

    def __init__(self) -> None:
        self.came_ns: list[int] = []
        self._orders: dict[str, dict[str, str]] = {}  # by login and tag, as they were placed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One process."""
        while line := await reader.readline():
            verb, login, tag, order = line.decode().rstrip("\n").split("\t")
            known = self._orders.setdefault(login, {})
            match verb:
                case "place":
                    self.came_ns.append(WallClock().now_ns())
                    answer = f"B{len(self.came_ns)}"
                    known[tag] = f'{{"number": "{answer}", {order[1:]}'
                case "find":
                    answer = known.get(tag, "null")
                case _:
                    answer = f"[{','.join(known.values())}]"
            writer.write(answer.encode() + b"\n")
        writer.close()

    async def reach(self, count: int) -> None:
        """Raises Unavailable where fewer come."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while len(self.came_ns) < count:  # noqa: ASYNC110 - other processes are asked
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise Unavailable(f"bench orders: {len(self.came_ns)} of {count} requests came") from None


class RestingLine:
    """A process's line to the book. Raises NoAnswer where that has hung up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: deque[asyncio.Future[bytes]] = deque()
        self._hearing = asyncio.create_task(self._hear())

    @classmethod
    async def connect(cls, port: int) -> "RestingLine":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=_LINE_BYTES_MAX))

    async def place(self, login: str, request: OrderRequest) -> str:
        """The broker's number of the order."""
        order = {
            "tag": request.tag, "instrument": request.instrument, "transaction": request.transaction,
            "quantity": request.quantity, "trigger_paise": request.trigger_paise, "at_ns": request.at_ns,
        }  # fmt: skip
        return (await self._answer("place", login, request.tag, json.dumps(order))).decode()

    async def find(self, login: str, tag: str) -> BrokerOrder | None:
        found = json.loads(await self._answer("find", login, tag))
        return None if found is None else _order(login, found)

    async def book(self, login: str) -> Sequence[BrokerOrder]:
        return [_order(login, one) for one in json.loads(await self._answer("book", login))]

    async def close(self) -> None:
        """Hangs up."""
        self._writer.close()
        await self._hearing

    async def _answer(self, verb: str, login: str, tag: str = "", order: str = "") -> bytes:
        if self._hearing.done():
            raise NoAnswer(NAME, "the bench has hung up")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        self._writer.write(f"{verb}\t{login}\t{tag}\t{order}\n".encode())
        return await answer

    async def _hear(self) -> None:
        try:
            while line := await self._reader.readline():
                answer = self._asked.popleft()
                if not answer.done():
                    answer.set_result(line.rstrip(b"\n"))
        except ConnectionError:
            pass  # hung up, as at the end of what it says
        finally:
            for answer in self._asked:
                if not answer.done():
                    answer.set_exception(NoAnswer(NAME, "the bench has hung up"))


def _order(login: str, row: dict[str, Any]) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=row["number"], tag=row["tag"], account=login, instrument=row["instrument"],
        transaction=Transaction(row["transaction"]), status=BrokerStatus.OPEN, quantity=row["quantity"],
        filled_quantity=0, trigger_paise=row["trigger_paise"], fills=(), as_of_ns=row["at_ns"],
    )  # fmt: skip
