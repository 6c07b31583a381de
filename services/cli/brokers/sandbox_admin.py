"""The sandbox's own address, as the commands use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput, Unavailable

_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SandboxClock:
    """The sandbox's clock, as every process of this machine can work it out."""

    event_ns: int
    wall_ns: int
    speed: float

    @property
    def text(self) -> str:
        """As TRADEBUS_MARKET_CLOCK takes it."""
        return f"{self.event_ns}@{self.wall_ns}x{self.speed:g}"

    def now_ns(self) -> int:
        return self.event_ns + int((WallClock().now_ns() - self.wall_ns) * self.speed)


class SandboxAdmin:
    """Raises Unavailable where nobody answers, InvalidInput for what the sandbox refuses; both in one line."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.AsyncClient(base_url=self._url, timeout=_TIMEOUT_SECONDS, trust_env=False)

    async def __aenter__(self) -> "SandboxAdmin":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def market_clock(self) -> SandboxClock:
        """Raises InvalidInput for a market that stands still: nothing would ever happen in it."""
        told = await self._asked("GET", "/clock")
        clock = SandboxClock(int(told["now_ns"]), WallClock().now_ns(), float(told["speed"]))
        if not clock.speed:
            raise InvalidInput(f"sandbox at {self._url}: its clock stands still; start it with --speed 1 or more")
        return clock

    async def log_in(self, account: str, broker: str) -> str:
        """A new access token."""
        return str((await self._asked("POST", f"/accounts/{account}/login/{broker}"))["access_token"])

    async def account(self, name: str) -> dict[str, Any]:
        """Orders with their trades, positions, money in paise."""
        return dict(await self._asked("GET", f"/accounts/{name}"))

    async def changes(self, name: str) -> list[dict[str, Any]]:
        """The account's orders as each change left them, since this was asked last; the first question begins it."""
        return list(await self._asked("GET", f"/accounts/{name}/changes"))

    async def instrument(self, key: str) -> dict[str, Any]:
        """How it is listed. Raises InvalidInput for one that is not."""
        for row in await self._asked("GET", "/instruments", params={"query": key}):
            if row["key"] == key:
                return dict(row)
        raise InvalidInput(f"sandbox at {self._url}: {key} is not listed")

    async def instruments(self, query: str) -> list[dict[str, Any]]:
        """What is listed and has this in its key or symbol, a thousand at most."""
        return list(await self._asked("GET", "/instruments", params={"query": query, "limit": 1000}))

    async def price_paise(self, key: str) -> int:
        """Of the last trade."""
        return int((await self._asked("GET", "/market/quote", params={"key": key}))["price_paise"])

    async def add_fault(self, rule: Mapping[str, Any]) -> None:
        """From now on; see `services.sandbox.faults`."""
        await self._asked("POST", "/faults", json=dict(rule))

    async def faults(self) -> list[dict[str, Any]]:
        """Every rule, with how often it has struck."""
        return list(await self._asked("GET", "/faults"))

    async def clear_faults(self) -> None:
        """What is being held back already stays so until its time."""
        await self._asked("DELETE", "/faults")

    async def _asked(self, method: str, path: str, **content: Any) -> Any:
        try:
            answer = await self._http.request(method, path, **content)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise InvalidInput(f"sandbox {self._url}: {error}; write it as http://127.0.0.1:8100") from error
        except httpx.HTTPError as error:
            raise Unavailable(
                f"sandbox at {self._url} does not answer ({type(error).__name__}); is `tradebus sandbox` running?"
            ) from error
        if answer.status_code >= 400:
            raise InvalidInput(f"sandbox at {self._url} answered {answer.status_code} to {method} {path}")
        try:
            return answer.json()
        except ValueError as error:
            raise InvalidInput(f"{self._url} is not a sandbox's admin address: it answers no JSON") from error
