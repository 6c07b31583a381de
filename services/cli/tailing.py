"""What `tradebus tail` does: entries of a stream, decoded, dense and sparse alike."""

import json as json_text
import sys
from collections.abc import Callable
from typing import Any

from services.cli.output import print_json, say
from services.cli.place import find_namespace, find_redis
from tradebus.bus.port import Bus, Entry
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.catalogue import RECORDS
from tradebus.contracts.records import decode
from tradebus.contracts.streams import SHARDED, STREAM_BY_NAME, STREAMS
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import ist_datetime
from tradebus.runtime.logs import STARS
from tradebus.waiting.timers import wall_timers

_BLOCK_MS = 1000
_SHARDED = {stream.name for stream in SHARDED}
_DENSE = {layout.kind: layout.dtype for layout in RECORDS}
# What a line of a message shows, in this order, where the message has it.
_SHOWN = ("user_id", "strategy", "symbol", "side", "role", "transaction", "quantity", "rule", "reason")
_MONEY = ("price_paise", "trigger_paise", "fill_price_paise", "stop_paise", "net_pnl_paise")


def stream_name(given: str) -> str:
    """`candles` → `md.candles.v1.{0}`. Raises InvalidInput for an unknown one."""
    short = {_short(stream.name): stream.name for stream in STREAMS}
    full = {stream.name: stream.name for stream in STREAMS}
    plain = given.removesuffix(".dead")
    base = plain.partition(".{")[0]
    name = short.get(plain) or full.get(base)
    if name is None:
        raise InvalidInput(f"stream {given!r} is unknown{nearest(given, short)}; known are {', '.join(sorted(short))}")
    if name in _SHARDED:
        name = plain if ".{" in plain else f"{name}.{{0}}"
    return f"{name}.dead" if given.endswith(".dead") else name


def _short(name: str) -> str:
    """`md.candles.v1` → `candles`, `trading.commands.v1` → `inbox`."""
    return {"trading.commands.v1": "inbox"}.get(name) or STREAM_BY_NAME[name].short


async def run_tail(
    stream: str, *, count: int, follow: bool, stack: str | None, namespace: str | None, json: bool
) -> None:
    """Prints until the entries are all shown, or for ever with `follow`."""
    name = stream_name(stream)
    if namespace is None:
        namespace = find_namespace(stack)
    bus = await RedisBus.connect(find_redis(), namespace=namespace, timers=wall_timers())
    try:
        last_id = await show_newest(bus, name, count=count, follow=follow, json=json)
        if follow:
            await _follow(bus, name, after=last_id, json=json)
    finally:
        await bus.close()


async def show_newest(bus: Bus, name: str, *, count: int, follow: bool, json: bool) -> str:
    """Prints the newest `count` entries of a stream, and says on stderr where it has none; the id after which the rest
    comes. With `json` one line per entry where it is to be followed, else one object with all."""
    newest = await bus.tail(name, count=max(1, count))
    shown = newest[-count:] if count else []
    if not newest:
        say(_empty(name, follow=follow))
    if json and not follow:
        print_json({"command": "tail", "stream": name, "entries": [entry_json(entry) for entry in shown]})
    else:
        for entry in shown:
            _print(entry, json=json)
    return newest[-1].entry_id if newest else "0"


def _empty(name: str, *, follow: bool) -> str:
    base = name.removesuffix(".dead")
    producer = STREAM_BY_NAME[base.partition(".{")[0]].producer
    whose = "what applications send" if producer == "external" else f"what {producer} publishes"
    comes = f"what services put aside of {base}" if name.endswith(".dead") else whose
    return f"{name} is empty: " + (f"waiting for {comes} (Ctrl-C ends)" if follow else f"--follow waits for {comes}")


async def _follow(bus: Bus, name: str, *, after: str, json: bool) -> None:
    position = {name: after}
    while True:
        for entry in await bus.follow([name], after=position, block_ms=_BLOCK_MS):
            _print(entry, json=json)
            position[name] = entry.entry_id


def _print(entry: Entry, *, json: bool) -> None:
    if json:
        print_json(entry_json(entry))
        return
    for line in entry_lines(entry):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as it is, its body decoded: `message` for a sparse one, `records` for a dense one."""
    found: dict[str, Any] = {"entry_id": entry.entry_id, "kind": entry.kind}
    if entry.watermark_ns is not None:
        found["watermark_ns"] = entry.watermark_ns
    if entry.kind in _DENSE:
        records = decode(entry.body, _DENSE[entry.kind])
        columns = [records[name].tolist() for name in records.dtype.names or ()]
        found["records"] = [
            dict(zip(records.dtype.names or (), row, strict=True)) for row in zip(*columns, strict=True)
        ]
    elif entry.body:
        found["message"] = _message(entry)
    return found


def entry_lines(entry: Entry) -> list[str]:
    """A line for people; one per record for a dense entry."""
    if entry.kind in _DENSE:
        records = decode(entry.body, _DENSE[entry.kind]).tolist()
        return [_LINES[entry.kind](record) for record in records]
    if not entry.body:
        at = f"{_time(entry.watermark_ns)}  " if entry.watermark_ns else ""
        return [f"{at}{entry.kind}"]
    message = _message(entry)
    if not isinstance(message, dict):
        return [f"{entry.entry_id}  {entry.kind}  {message}"]
    parts = [str(message[name]) for name in _SHOWN if message.get(name) is not None]
    parts += [str(one) for one in message.get("symbols", ())]
    parts += [
        f"{name.removesuffix('_paise')} {format_rupees(message[name])}"
        for name in _MONEY
        if message.get(name) is not None
    ]
    parts += [f"{one['field']}: {one['problem']}" for one in message.get("errors", ())]
    parts += [request_line(message["would_send"])] if message.get("would_send") else []
    return [f"{_time(message.get('ts_event_ns', 0))}  {entry.kind:<22} {'  '.join(parts)}"]


def request_line(request: dict[str, Any]) -> str:
    """What a dry run's order would have been at its broker."""
    if request["problem"]:
        return f"nothing would have left for {request['broker']}: {request['problem']}"
    return f"would have left: {request['method']} {request['url']}  {request['body']}"


def _message(entry: Entry) -> Any:
    """The JSON of a sparse entry. A command from outside may carry a token, and may be no JSON: neither is shown."""
    try:
        return _without_tokens(json_text.loads(entry.body))
    except (ValueError, RecursionError):
        return f"{len(entry.body)} bytes that are no JSON"


def _without_tokens(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: STARS if "token" in key.lower() else _without_tokens(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_tokens(item) for item in value]
    return value


def _tick_line(record: Any) -> str:
    ts_ns, price_paise, volume, instrument = record[0], record[2], record[3], record[8]
    return f"{_time(ts_ns)}  {instrument:>5}  {price_paise / 100:>12,.2f}  volume {volume:,}"


def _candle_line(record: Any) -> str:
    ts_ns, instrument, timeframe = record[0], record[8], record[9]
    prices = "  ".join(f"{price / 100:>12,.2f}" for price in record[2:6])
    return f"{_time(ts_ns)}  {instrument:>5}  {timeframe // 60:>4}m  {prices}  volume {record[6]:,}"


def _quote_line(record: Any) -> str:
    """Last price, best bid and ask with their quantities, totals of the book."""
    ts_ns, price_paise, bids, asks, instrument = record[0], record[3], record[15], record[16], record[22]
    best = f"{record[17][0]:,} @ {bids[0] / 100:,.2f} / {asks[0] / 100:,.2f} @ {record[18][0]:,}"
    book = f"book {record[13]:,} / {record[14]:,}"
    return f"{_time(ts_ns)}  {instrument:>5}  {price_paise / 100:>12,.2f}  {best}  {book}  OI {record[10]:,}"


_LINES: dict[str, Callable[[Any], str]] = {"ticks": _tick_line, "quotes": _quote_line, "candles": _candle_line}


def _time(ts_ns: int) -> str:
    """Indian time, to the millisecond."""
    return ist_datetime(ts_ns).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
