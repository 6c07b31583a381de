"""Bodies of replies, read within limits: on a thread that waits for a socket, so in the machine's time."""

from typing import Protocol

from tradebus.brokers.errors import Malformed, NoAnswer
from tradebus.kernel.clock import monotonic_ns

_CHUNK_BYTES = 1 << 16


class RawBody(Protocol):
    """urllib3's response, before anybody has read it."""

    def read1(self, amt: int, decode_content: bool) -> bytes: ...


def whole_body(raw: RawBody, *, broker: str, started_ns: int, seconds_max: float, bytes_max: int) -> bytes:
    """The whole body, but no more than a limit and no longer than a request may take: a timeout between two bytes, all
    that HTTP clients have, is none for an answer that drips. Raises Malformed, NoAnswer, and what urllib3 raises."""
    body = bytearray()
    while chunk := raw.read1(_CHUNK_BYTES, decode_content=True):  # what is there, without waiting for more
        body += chunk
        if len(body) > bytes_max:
            raise Malformed(broker, f"an answer of more than {bytes_max // 2**20} MB")
        if monotonic_ns() - started_ns > seconds_max * 1e9:
            raise NoAnswer(broker, f"no whole answer in {seconds_max:g} s")
    return bytes(body)
