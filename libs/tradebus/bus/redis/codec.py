"""Entries as Redis holds them: fields k (kind), b (body), w (watermark), s (slice start), and their commands.

A foreign writer (the command stream is open to other applications) may leave out `k` and name its one field as it
likes; what cannot be read at all comes out as kind "malformed", so that its consumer can dead-letter it.
"""

from collections.abc import Sequence

from tradebus.bus.port import Entry, Origin, Outgoing
from tradebus.bus.redis.link import pack

MALFORMED = "malformed"
_MULTI = pack("MULTI")
_EXEC = pack("EXEC")

_KINDS: dict[bytes, str] = {}
_KINDS_MAX = 1000  # a foreign writer must not make the table grow for ever


def fields_of(outgoing: Outgoing) -> list[bytes | str | int]:
    """The fields and values of an entry, flat."""
    fields: list[bytes | str | int] = ["k", outgoing.kind]
    if outgoing.body:
        fields += ("b", outgoing.body)
    if outgoing.watermark_ns is not None:
        fields += ("w", outgoing.watermark_ns)
    if outgoing.slice_start_ns is not None:
        fields += ("s", outgoing.slice_start_ns)
    return fields


def pack_add(key: str, outgoing: Outgoing, *, max_entries: int) -> bytes:
    """XADD, trimming the stream to about `max_entries`."""
    return pack("XADD", key, "MAXLEN", "~", max_entries, "*", *fields_of(outgoing))


def read_entry(stream: str, entry_id: bytes, fields: Sequence[bytes], *, deliveries: int = 1) -> Entry:
    """One entry from its flat fields. Never raises."""
    found = dict(zip(fields[::2], fields[1::2], strict=False))
    watermark, slice_start = found.get(b"w"), found.get(b"s")
    try:
        return Entry(
            stream,
            entry_id.decode(),
            _kind(found.get(b"k", b"")),
            _body(found),
            None if watermark is None else int(watermark),
            None if slice_start is None else int(slice_start),
            deliveries,
            origin=_origin(fields),
        )
    except ValueError:
        return Entry(stream, entry_id.decode(), MALFORMED, _body(found), deliveries=deliveries, origin=_origin(fields))


def origin_fields(origin: Origin) -> tuple[str, ...]:
    """What a dead letter's fields begin with."""
    return ("reason", origin.reason, "origin_id", origin.entry_id, "origin_group", origin.group)


def _origin(fields: Sequence[bytes]) -> Origin | None:
    if len(fields) < 6 or tuple(fields[:6:2]) != (b"reason", b"origin_id", b"origin_group"):
        return None
    reason, entry_id, group = (value.decode(errors="replace") for value in fields[1:6:2])
    return Origin(reason, entry_id, group)


def _kind(raw: bytes) -> str:
    kind = _KINDS.get(raw)
    if kind is None:
        kind = raw.decode()
        if len(_KINDS) < _KINDS_MAX:
            _KINDS[raw] = kind
    return kind


def _body(found: dict[bytes, bytes]) -> bytes:
    body = found.get(b"b")
    if body is not None:
        return body
    if b"k" in found:
        return b""
    return next(iter(found.values())) if len(found) == 1 else b""


def transaction(commands: Sequence[bytes]) -> bytes:
    """Packed commands as one transaction, answered by two replies more than it has commands."""
    return b"".join((_MULTI, *commands, _EXEC))


def as_bytes(part: bytes | str | int) -> bytes:
    """A field as Redis returns it."""
    return part if isinstance(part, bytes) else str(part).encode()


def as_outgoing(entry: Entry) -> Outgoing:
    """The entry as it was published."""
    return Outgoing(entry.stream, entry.kind, entry.body, entry.watermark_ns, entry.slice_start_ns)
