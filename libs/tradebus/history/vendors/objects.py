"""JSON history as a table of text cells: the answers of Kite, Upstox and Dhan, and lists of objects."""

import json
from typing import Any

import pandas as pd

from tradebus.history.cells import first_line
from tradebus.kernel.errors import InvalidInput

# Kite's and Upstox's candles have no names.
_CANDLE = ("ts", "open", "high", "low", "close", "volume", "open_interest")
_HELP = "give candles as Kite, Upstox or Dhan answer them, or a list of objects with ts, open, high, low, close"


def cells_of_json(text: str, *, source: str) -> pd.DataFrame:
    """Raises InvalidInput where it is no JSON, or none that holds candles."""
    try:
        # A price stays as it is written, to the last digit.
        answer = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{source}: it is no JSON: {first_line(error)}") from None
    while isinstance(answer, dict) and isinstance(answer.get("data"), (dict, list)) and "columns" not in answer:
        answer = answer["data"]
    frame = _frame(answer, source=source)
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame.map(lambda cell: "" if cell is None else str(cell))


def _frame(answer: Any, *, source: str) -> pd.DataFrame:
    names: list[str] | None = None
    if isinstance(answer, dict) and isinstance(answer.get("candles"), list):
        answer = answer["candles"]
    elif isinstance(answer, dict) and isinstance(answer.get("columns"), list):
        names, answer = [str(name) for name in answer["columns"]], answer.get("data")
    elif isinstance(answer, dict):
        columns = {name: cells for name, cells in answer.items() if isinstance(cells, list) and cells}
        if not columns:
            raise InvalidInput(f"{source}: it holds no candles: {_HELP}")
        if len({len(cells) for cells in columns.values()}) > 1:
            lengths = ", ".join(f"{name} {len(cells)}" for name, cells in columns.items())
            raise InvalidInput(f"{source}: its columns differ in length ({lengths}): fetch it again")
        return pd.DataFrame(columns)
    if isinstance(answer, list) and answer and all(isinstance(row, dict) for row in answer):
        return pd.DataFrame(answer).astype(object).where(lambda frame: frame.notna(), None)
    if not isinstance(answer, list) or not answer or not all(isinstance(row, list) for row in answer):
        raise InvalidInput(f"{source}: it holds no candles: {_HELP}")
    width = len(names) if names else len(answer[0])
    for number, row in enumerate(answer, 1):
        if len(row) != width:
            raise InvalidInput(f"{source}: row {number}: it has {len(row)} cells where others have {width}: correct it")
    if names is None and not 5 <= width <= len(_CANDLE):
        raise InvalidInput(f"{source}: its candles have {width} cells: {_HELP}")
    return pd.DataFrame(answer, columns=names or list(_CANDLE[:width]))
