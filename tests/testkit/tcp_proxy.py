"""A TCP proxy that fails on request: between client and server it can lose requests, answers and connections."""

import asyncio
from urllib.parse import urlsplit


class FaultyProxy:
    """Forwards 127.0.0.1:`port` to `url`'s server.

    `lose_request` and `lose_answer` name bytes; the next request that holds them is not forwarded, or is forwarded and
    its answer thrown away; then every connection is cut, as by a network. `frozen` forwards nothing and cuts nothing.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._parts = parts
        self._target = parts.hostname or "127.0.0.1", parts.port or 6379
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.lose_request: bytes | None = None
        self.lose_answer: bytes | None = None
        self.frozen = False
        self.cuts = 0
        self.accepted = 0  # connections, since it was made

    @property
    def url(self) -> str:
        """The server's address, credentials and all, as seen through this proxy."""
        credentials, at, _ = self._parts.netloc.rpartition("@")
        return self._parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}").geturl()

    async def start(self) -> None:
        """Listens, at the port of its first start for ever."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuses new connections and cuts those there are."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Every connection ends at once."""
        self.cuts += 1
        for writer in self._connections:
            writer.transport.abort()
        self._connections.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        self._connections |= {writer, server_writer}
        losing = asyncio.Event()
        for each in (self._requests(reader, server_writer, losing), self._answers(server_reader, writer, losing)):
            task = asyncio.create_task(each)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        try:
            while data := await reader.read(1 << 20):
                if self.lose_request is not None and self.lose_request in data:
                    self.lose_request = None
                    self.cut()
                    return
                if self.lose_answer is not None and self.lose_answer in data:
                    self.lose_answer = None
                    losing.set()
                if not self.frozen:
                    server.write(data)
            server.transport.abort()
        except OSError:
            server.transport.abort()

    async def _answers(self, server: asyncio.StreamReader, client: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        try:
            while data := await server.read(1 << 20):
                if losing.is_set():
                    self.cut()
                    return
                if not self.frozen:
                    client.write(data)
            client.transport.abort()
        except OSError:
            client.transport.abort()
