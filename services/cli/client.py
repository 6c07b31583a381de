"""The gateway's HTTP API, as the commands use it."""

import asyncio
from typing import Any

import httpx
from pydantic import SecretStr

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.ids import RandomIds

_TIMEOUT_SECONDS = 20.0
_POLL_SECONDS = 0.02
_RETRY_SECONDS = 0.2


class GatewayClient:
    """Raises Unavailable where nobody answers, InvalidInput for what the gateway refuses; both in one line.

    With `patience_seconds` a request is repeated for so long: a supervised gateway is started again when it dies.
    Repeating is harmless, because every command carries an id.
    """

    def __init__(
        self, url: str, token: SecretStr, *, patience_seconds: float = 0.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._url = url.rstrip("/")
        self._patience_seconds = patience_seconds
        self._http = httpx.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> "GatewayClient":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """The JSON answer of a view."""
        return await self._json("GET", path, params=query)

    async def command(
        self, action: str, *, user_id: str | None = None, data: dict[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Sends one command, under the sender's own key where there is one; returns what became of it. Raises
        InvalidInput naming every bad field."""
        body: dict[str, Any] = {"action": action, "data": data, "command_id": key or RandomIds().new_id()}
        if user_id is not None:
            body["user_id"] = user_id
        reply = await self._json("POST", "/api/commands", json=body)
        if reply["status"] == "rejected":
            problems = "; ".join(f"{one['field']}: {one['problem']}" for one in reply["errors"])
            raise InvalidInput(f"{action} was rejected: {problems}")
        return reply

    async def session(self, session_id: str) -> dict[str, Any]:
        (found,) = (await self.get("/api/sessions", session_id=session_id))["sessions"]
        return dict(found)

    async def until(self, session_id: str, *statuses: str, seconds: float) -> dict[str, Any]:
        """The session once it has one of these statuses. Raises Unavailable where it fails, or time runs out."""
        try:
            async with asyncio.timeout(seconds):
                while (session := await self.session(session_id))["status"] not in statuses:
                    if session["status"] == "FAILED":
                        raise Unavailable(f"session {session_id} failed: {session['reason']}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise Unavailable(
                f"session {session_id} is not {statuses[0]} after {seconds:g} s; it is {session['status']}"
            ) from None
        return session

    async def _json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer = await self._answer(method, path, **arguments)
        if answer.status_code == 401:
            raise InvalidInput(f"gateway at {self._url}: the token is not accepted; give --token-file")
        if answer.status_code >= 500 or not answer.headers.get("content-type", "").startswith("application/json"):
            raise Unavailable(f"gateway at {self._url} answered {answer.status_code} to {method} {path}")
        found: dict[str, Any] = answer.json()
        if answer.status_code == 422 and "status" not in found:
            raise InvalidInput(f"gateway: {found.get('errors') or found.get('detail')}")
        return found

    async def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        give_up_ns = monotonic_ns() + int(self._patience_seconds * 1e9)
        while True:
            try:
                return await self._http.request(method, path, **arguments)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise InvalidInput(f"--url {self._url}: {error}; write it as http://127.0.0.1:8000") from error
            except httpx.HTTPError as error:
                if monotonic_ns() > give_up_ns:
                    raise Unavailable(
                        f"gateway at {self._url} does not answer ({type(error).__name__}); is `tradebus up` running?"
                    ) from error
            await asyncio.sleep(_RETRY_SECONDS)
