"""Whose book `--stored` reads: `main` is the one without a name, that of `tradebus up`."""

from contextlib import nullcontext
from typing import Any

import pytest

from services.cli.runs import stored_candles
from services.cli.runs.stored_candles import read_stored


@pytest.mark.parametrize(("given", "book"), [("main", ""), ("live", "live"), ("", "")])
def test_main_is_the_book_of_the_stack_without_a_name(monkeypatch: pytest.MonkeyPatch, given: str, book: str) -> None:
    asked: list[str] = []

    async def read(url: str, namespace: str, **window: Any) -> list[Any]:
        asked.append(namespace)
        return []

    monkeypatch.setattr(stored_candles, "open_database", lambda: nullcontext("postgresql://"))
    read_stored(given, symbols=("INFY",), from_date=None, to_date=None, seed=1, read=read)
    assert asked == [book]
