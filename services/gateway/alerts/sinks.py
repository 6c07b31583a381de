"""How an alert leaves: to a webhook, to a chat in Telegram, as an e-mail.

Invariant (tested): what a sink raises holds nothing of its address or secrets.
"""

import asyncio
import smtplib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any, Protocol

import httpx

from services.gateway.alerts.stored import TELEGRAM_URL, AlertSinkConfig

_SECONDS = 10.0
_SUBJECT = "tradebus: {} alert{}"


class NotTold(Exception):
    """The sink did not take it. The text may be shown."""


class AlertSink(Protocol):
    async def tell(self, text: str, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Raises NotTold where it was not taken. Cancelled, it may or may not have been."""

    async def close(self) -> None: ...


OpenSink = Callable[[AlertSinkConfig], AlertSink]


def open_sink(config: AlertSinkConfig, *, transport: httpx.AsyncBaseTransport | None = None) -> AlertSink:
    """The sink of a configuration; connects to nothing yet."""
    if config.kind == "email":
        return EmailSink(config.fields)
    client = httpx.AsyncClient(timeout=_SECONDS, trust_env=False, transport=transport)
    return HttpSink(client, _telegram(config.fields) if config.kind == "telegram" else _webhook(config.fields))


class HttpSink:
    """`request_of` makes address, headers and JSON body of a text and its alerts."""

    def __init__(
        self, client: httpx.AsyncClient,
        request_of: Callable[[str, Sequence[Mapping[str, Any]]], tuple[str, Mapping[str, str], Any]],
    ) -> None:  # fmt: skip
        self._client, self._request_of = client, request_of

    async def tell(self, text: str, alerts: Sequence[Mapping[str, Any]]) -> None:
        url, headers, body = self._request_of(text, alerts)
        try:
            # Streamed: how it answers is of interest, what it says is not, however much that is.
            async with self._client.stream("POST", url, headers=dict(headers), json=body) as answer:
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NotTold(f"no answer ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise NotTold(f"answered {status}")

    async def close(self) -> None:
        await self._client.aclose()


def _webhook(fields: Mapping[str, str]) -> Callable[..., tuple[str, Mapping[str, str], Any]]:
    headers = {fields["header"]: fields["header_value"]} if "header" in fields else {}
    return lambda text, alerts: (fields["url"], headers, {"text": text, "alerts": list(alerts)})


def _telegram(fields: Mapping[str, str]) -> Callable[..., tuple[str, Mapping[str, str], Any]]:
    url = f"{fields.get('url', TELEGRAM_URL).rstrip('/')}/bot{fields['token']}/sendMessage"
    return lambda text, _: (url, {}, {"chat_id": fields["chat_id"], "text": text, "disable_web_page_preview": True})


class EmailSink:
    """smtplib waits in a thread of its own: one that hangs holds up this sink alone."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alert-email")

    async def tell(self, text: str, alerts: Sequence[Mapping[str, Any]]) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._fields["sender"], self._fields["to"]
        mail["Subject"] = _SUBJECT.format(len(alerts), "" if len(alerts) == 1 else "s")
        mail.set_content(text)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._send, mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotTold(f"not sent ({type(error).__name__})") from None

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _send(self, mail: EmailMessage) -> None:
        host, security = self._fields["host"], self._fields.get("security", "starttls")
        port = int(self._fields.get("port", "465" if security == "tls" else "587"))
        opened = smtplib.SMTP_SSL if security == "tls" else smtplib.SMTP
        with opened(host, port, timeout=_SECONDS) as server:
            if security == "starttls":
                server.starttls()
            if "user" in self._fields:
                server.login(self._fields["user"], self._fields["password"])
            server.send_message(mail)
