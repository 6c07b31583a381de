"""The one place that every request of every adapter leaves through, and every reply comes in by.

    SDK ─► requests ─► RecordingAdapter ─┐
    SDK ─► urllib3  ─► GuardedPool ──────┴─► AuditedWire.leaving ─► socket ─► RecordedBody ─► whoever reads the reply

It stands below the SDKs, so that neither they nor an adapter can go past it. A request is written before it leaves; its
reply when the last byte was read, or when somebody gave up. Nothing here raises for the audit's sake.
"""

import hashlib
from typing import Any

from tradebus.brokers.audit.hiding import without_secrets
from tradebus.brokers.audit.log import Ending, ExchangeLog
from tradebus.brokers.audit.server_clock import ServerClock
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.timers import Timers

# Of a text that is kept: requests that change something whole, as a rule; what is only read, its beginning.
KEPT_BYTES_OF_CHANGES, KEPT_BYTES_OF_READS = 64 * 1024, 16 * 1024
_MARGIN_BYTES = 4096  # a secret that the cut would leave half of is hidden first
_READS = ("GET", "HEAD")


class AuditedWire:
    """Of one login."""

    def __init__(self, log: ExchangeLog, redactor: Redactor, *, timers: Timers) -> None:
        self._log, self._redactor, self._timers = log, redactor, timers
        self.server_clock = ServerClock()

    def leaving(self, method: str, url: str, body: object) -> "Leaving":
        """A request is about to leave."""
        number = self._log.sent(
            method, self._shown(url.encode(), KEPT_BYTES_OF_READS), self._shown(_bytes_of(body), KEPT_BYTES_OF_CHANGES)
        )
        kept = KEPT_BYTES_OF_READS if method in _READS else KEPT_BYTES_OF_CHANGES
        return Leaving(self, number, kept, sent_ns=self._timers.now_ns())

    def heard(self, headers: Any, *, sent_ns: int) -> None:
        """For `Leaving`: the head of a reply is there."""
        self.server_clock.heard(headers.get("Date", ""), sent_ns=sent_ns, received_ns=self._timers.now_ns())

    def ended(self, number: str, *, status: int | None, body: bytes, of: "Leaving", problem: str) -> None:
        """For `Leaving`."""
        reply = self._shown(body, of.kept_bytes)
        self._log.ended(
            number, Ending(status, reply, of.size, of.digest.hexdigest() if of.size else "", self._told(problem))
        )

    def _told(self, problem: str) -> str:
        return without_secrets(problem, self._redactor)[:300]

    def _shown(self, content: bytes, kept_bytes: int) -> str:
        if b"\0" in content[:kept_bytes]:
            return f"(binary, {len(content)} bytes)"
        text = content[: kept_bytes + _MARGIN_BYTES].decode("utf-8", "backslashreplace")
        return without_secrets(text, self._redactor)[:kept_bytes].replace("\0", "\\x00")


class Leaving:
    """One request that has left. It ends once: later endings are of no interest."""

    def __init__(self, wire: AuditedWire, number: str, kept_bytes: int, *, sent_ns: int) -> None:
        self._wire, self._number, self.kept_bytes, self._sent_ns = wire, number, kept_bytes, sent_ns
        self.size, self.digest = 0, hashlib.sha256()
        self._kept = bytearray()
        self._status: int | None = None
        self._is_open = True

    def answering(self, raw: Any, status: int) -> "RecordedBody":
        """The reply's head is there; its body is read through what this returns."""
        self._status = status
        self._wire.heard(raw.headers, sent_ns=self._sent_ns)
        return RecordedBody(raw, self)

    def took(self, chunk: bytes) -> None:
        """Part of the body was read."""
        self.size += len(chunk)
        self.digest.update(chunk)
        room = self.kept_bytes + _MARGIN_BYTES - len(self._kept)
        if room > 0:
            self._kept += chunk[:room]

    def ended(self, problem: str = "") -> None:
        """The whole body was read, or `problem` says why not."""
        if self._is_open:
            self._is_open = False
            self._wire.ended(
                self._number, status=self._status, body=bytes(self._kept), of=self, problem=problem
            )  # fmt: skip


class RecordedBody:
    """A urllib3 response, read by `read1`; anything else of it is passed on."""

    def __init__(self, raw: Any, leaving: Leaving) -> None:
        self._raw, self._leaving = raw, leaving

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read1(self, amt: int, decode_content: bool) -> bytes:
        try:
            chunk: bytes = self._raw.read1(amt, decode_content=decode_content)
        except BaseException as error:
            self._leaving.ended(f"{type(error).__name__}: {error}")
            raise
        if chunk:
            self._leaving.took(chunk)
        else:
            self._leaving.ended()
        return chunk

    def read(self, *arguments: Any, **named: Any) -> bytes:
        """The rest of the body at once, for whoever does not read it by `read1`."""
        chunk: bytes = self._raw.read(*arguments, **named)
        self._leaving.took(chunk)
        return chunk

    def close(self) -> None:
        self._leaving.ended("the reply was not read to its end")
        self._raw.close()


def _bytes_of(body: object) -> bytes:
    if body is None:
        return b""
    return bytes(body) if isinstance(body, bytes | bytearray) else str(body).encode("utf-8", "backslashreplace")
