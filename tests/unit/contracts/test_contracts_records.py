"""Dense records: their layout is a contract, and bytes that are no batch are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.records import CANDLE, TICK, decode

# Name, type and offset of every field as they are on the wire. A change here is a new version of the stream.
TICK_LAYOUT = {
    "ts_event_ns": ("<i8", 0), "ts_received_ns": ("<i8", 8), "price_paise": ("<i8", 16),
    "volume_cumulative": ("<i8", 24), "open_interest": ("<i8", 32), "bid_paise": ("<i8", 40), "ask_paise": ("<i8", 48),
    "last_quantity": ("<i4", 56), "instrument": ("<i4", 60),
}  # fmt: skip
CANDLE_LAYOUT = {
    "ts_open_ns": ("<i8", 0), "ts_close_ns": ("<i8", 8), "open_paise": ("<i8", 16), "high_paise": ("<i8", 24),
    "low_paise": ("<i8", 32), "close_paise": ("<i8", 40), "volume": ("<i8", 48), "open_interest": ("<i8", 56),
    "instrument": ("<i4", 64), "timeframe_seconds": ("<i4", 68), "tick_count": ("<i4", 72), "flags": ("<u4", 76),
}  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "layout", "size"), [(TICK, TICK_LAYOUT, 64), (CANDLE, CANDLE_LAYOUT, 80)], ids=["tick", "candle"]
)
def test_the_layout_of_a_record_is_fixed(dtype: "np.dtype[np.void]", layout: dict[str, object], size: int) -> None:
    assert dtype.itemsize == size
    assert {name: (dtype.fields[name][0].str, dtype.fields[name][1]) for name in dtype.names or ()} == layout  # type: ignore[index]


@given(st.integers(0, 20), st.sampled_from([TICK, CANDLE]), st.data())
def test_a_batch_is_read_as_it_was_written(count: int, dtype: "np.dtype[np.void]", data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    records = decode(body, dtype)
    assert len(records) == count
    assert records.tobytes() == body
    assert not records.flags.writeable


@given(st.binary(max_size=300), st.sampled_from([TICK, CANDLE]))
def test_part_of_a_record_is_refused(body: bytes, dtype: "np.dtype[np.void]") -> None:
    if len(body) % dtype.itemsize:
        with pytest.raises(ValueError, match="not a whole number of"):
            decode(body, dtype)
