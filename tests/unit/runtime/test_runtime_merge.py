"""The merge's invariants, on random paced runs."""

from hypothesis import given
from hypothesis import strategies as st

from tradebus.bus.port import Entry
from tradebus.runtime.merge import Gate, WatermarkMerge

SIGNALS = Gate("signals", 0, "event")
TICKS = Gate("ticks", 1, "watermark")
ORDERS = Gate("orders", 2, "event")


def message(stream: str, ts_ns: int, number: int) -> Entry:
    return Entry(
        stream, f"{stream}-{number}", "ANY", b'{"type":"ANY","schema_version":1,"ts_event_ns":%d,"x":1}' % ts_ns
    )


def mark(stream: str, ts_ns: int) -> Entry:
    return Entry(stream, f"{stream}-w{ts_ns}", "watermark", b"", watermark_ns=ts_ns)


def batch(ts_ns: int) -> Entry:
    return Entry("ticks", f"ticks-{ts_ns}", "ticks", b"", watermark_ns=ts_ns, slice_start_ns=ts_ns - 9)


def run_of(steps: int, per_step: list[int]) -> dict[str, list[Entry]]:
    """A paced run as risk sees it: ticks to 10k-1, orders to 10k-1 and at 10k, signals at 10k."""
    streams: dict[str, list[Entry]] = {"signals": [], "ticks": [], "orders": []}
    for step in range(1, steps + 1):
        end = step * 10
        count = per_step[(step - 1) % len(per_step)]
        streams["ticks"].append(batch(end - 1))
        streams["orders"] += [message("orders", end - 5, step * 100 + i) for i in range(count)] + [
            mark("orders", end - 1)
        ]
        streams["signals"] += [message("signals", end, step * 100 + i) for i in range(count)]
        streams["signals"] += [mark("signals", end)]
        streams["orders"] += [message("orders", end, step * 100 + 50), mark("orders", end)]
    return streams


def merged(streams: dict[str, list[Entry]], choices: list[int]) -> list[Entry]:
    merge = WatermarkMerge((SIGNALS, TICKS, ORDERS))
    queues = {name: list(entries) for name, entries in streams.items()}
    out: list[Entry] = []
    turn = 0
    while any(queues.values()):
        alive = [name for name in sorted(queues) if queues[name]]
        name = alive[choices[turn % len(choices)] % len(alive)]
        merge.offer(queues[name].pop(0))
        out += merge.release()
        turn += 1
    return out


@given(st.integers(1, 6), st.lists(st.integers(0, 3), min_size=1), st.lists(st.integers(0, 2), min_size=1), st.data())
def test_order_does_not_depend_on_how_streams_interleave(steps, per_step, choices, data):
    streams = run_of(steps, per_step)
    other = data.draw(st.lists(st.integers(0, 2), min_size=1))
    first, second = merged(streams, choices), merged(streams, other)
    assert first[: len(second)] == second[: len(first)]


@given(st.integers(1, 6), st.lists(st.integers(0, 3), min_size=1), st.lists(st.integers(0, 2), min_size=1))
def test_every_signal_comes_after_the_orders_and_ticks_before_it(steps, per_step, choices):
    out = merged(run_of(steps, per_step), choices)
    positions = {entry.entry_id: index for index, entry in enumerate(out)}
    for entry in out:
        if entry.stream == "signals" and entry.kind == "watermark":
            end = entry.watermark_ns
            assert positions[f"orders-w{end - 1}"] < positions[entry.entry_id]
            assert positions[f"ticks-{end - 1}"] < positions[entry.entry_id]


@given(st.integers(1, 6), st.lists(st.integers(0, 3), min_size=1), st.lists(st.integers(0, 2), min_size=1))
def test_nothing_is_lost_and_only_the_open_end_is_held(steps, per_step, choices):
    streams = run_of(steps, per_step)
    out = merged(streams, choices)
    # All but the last instant's orders (which a later slice's ticks must follow first) are out.
    total = sum(len(entries) for entries in streams.values())
    assert total - len(out) <= 2
    assert len({entry.entry_id for entry in out}) == len(out)


def test_an_unreadable_message_is_released_rather_than_blocking():
    merge = WatermarkMerge((SIGNALS,))
    merge.offer(Entry("signals", "1-0", "ANY", b"not json"))
    assert [entry.entry_id for entry in merge.release()] == ["1-0"]


def test_an_entry_waits_for_a_stream_that_may_still_deliver_an_earlier_one():
    merge = WatermarkMerge((SIGNALS, TICKS))
    merge.offer(message("signals", 20, 1))
    assert merge.release() == []
    merge.offer(batch(19))
    assert [entry.stream for entry in merge.release()] == []  # the batch itself waits for signals up to 19
    merge.offer(mark("signals", 20))
    assert [entry.entry_id for entry in merge.release()] == ["ticks-19", "signals-1", "signals-w20"]
