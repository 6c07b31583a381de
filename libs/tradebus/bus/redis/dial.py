"""Reaching Redis: where it is, how to be let in, how long to be patient.

No text made here holds a password.
"""

import asyncio
import ssl
from collections.abc import Callable

from tradebus.bus.redis.address import RedisAddress, address_of
from tradebus.bus.redis.link import STALL_SECONDS, Dropped, Link, RedisRefused, Reply, checked, pack
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.rng import jittered
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import deadline, sleep

HANDSHAKE_SECONDS = 5.0
BACKOFF_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Dialler:
    """Knows where Redis is and how to be let in. Its texts never hold the password."""

    def __init__(
        self,
        redis_url: str,
        *,
        timers: Timers,
        retry_seconds: float,
        stall_seconds: float = STALL_SECONDS,
        client_name: str = "tradebus",
    ) -> None:
        try:
            address = address_of(redis_url)
        except ValueError as error:
            raise InvalidInput(
                "REDIS_URL: not a Redis address, write redis://[user:password@]host:port/database"
            ) from error
        self.timers = timers
        self.retry_seconds, self._stall_seconds = retry_seconds, stall_seconds
        self._path, self._host, self._port = address.path, address.host or "127.0.0.1", address.port or 6379
        self._ssl = None if address.tls is None else _tls(address.tls)
        self._hello = _hello(address, client_name)
        self.place = self._path or f"{self._host}:{self._port}"

    async def dial(self, pushed: Callable[[list[Reply]], None] | None = None) -> Link:
        """A link that has been let in, after as many attempts as `retry_seconds` allow. Raises Unavailable."""
        end_ns, attempt = self.timers.monotonic_ns() + int(self.retry_seconds * NANOSECONDS_PER_SECOND), 0
        while True:
            try:
                return await self._dial_once(pushed)
            except (OSError, Dropped, TimeoutError) as error:
                delay = back_off(attempt, self.timers)
                if self.timers.monotonic_ns() + delay * NANOSECONDS_PER_SECOND > end_ns:
                    raise Unavailable(
                        f"Redis at {self.place} does not answer ({_plain(error)}): start it, or correct REDIS_URL"
                    ) from None
                await sleep(self.timers, delay)
                attempt += 1

    async def _dial_once(self, pushed: Callable[[list[Reply]], None] | None) -> Link:
        loop = asyncio.get_running_loop()

        def make() -> Link:
            return Link(timers=self.timers, stall_seconds=self._stall_seconds, pushed=pushed)

        async with deadline(self.timers, HANDSHAKE_SECONDS):
            if self._path is not None:
                _, link = await loop.create_unix_connection(make, self._path)
            else:
                _, link = await loop.create_connection(make, self._host, self._port, ssl=self._ssl)
            try:
                checked(await link.send(b"".join(self._hello), replies=len(self._hello)))
            except (RedisRefused, Unavailable) as error:
                link.cut()
                raise Unavailable(f"Redis at {self.place} refuses the connection: {error}") from None
            except BaseException:
                link.cut()
                raise
        return link


class Retry:
    """The patience of one operation: sleeps a growing while at each loss, raises Unavailable when time is up."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._attempt = 0
        self._end_ns: int | None = None

    async def pause(self, error: Exception) -> None:
        timers = self._dialler.timers
        now_ns = timers.monotonic_ns()
        if self._end_ns is None:
            self._end_ns = now_ns + int(self._dialler.retry_seconds * NANOSECONDS_PER_SECOND)
        if now_ns > self._end_ns:
            raise Unavailable(f"Redis at {self._dialler.place} keeps failing ({_plain(error)})") from None
        await sleep(timers, back_off(self._attempt, timers))
        self._attempt += 1


def back_off(attempt: int, timers: Timers) -> float:
    """Seconds to wait before attempt `attempt` + 1, with jitter so that services do not return all at once."""
    delay = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]
    return jittered(delay, attempt, seed=timers.monotonic_ns())


def _hello(address: RedisAddress, client_name: str) -> list[bytes]:
    commands: list[bytes] = []
    username, password = address.username, address.password
    if password:
        commands.append(pack("AUTH", username, password) if username else pack("AUTH", password))
    if address.database:
        commands.append(pack("SELECT", address.database))
    commands.append(pack("CLIENT", "SETNAME", client_name))
    return commands


def _tls(options: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context


def _plain(error: Exception) -> str:
    return str(error) or type(error).__name__
