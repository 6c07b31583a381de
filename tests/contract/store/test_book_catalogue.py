"""What a session may name, as the gateway reads it. On both books."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from testkit.gateway import register

from services.gateway.adapters.catalogue import catalogue_from
from services.gateway.adapters.logins import StoredLogins
from services.gateway.settings import GatewaySettings
from tradebus.store.book import Book
from tradebus.store.books import feeds_book
from tradebus.store.books.feeds import FeedRow


@pytest.mark.parametrize(
    ("spec", "feed", "day"),
    [
        (None, "", None),
        ({"feed": "live", "broker": "kite"}, "kite", None),
        ({"feed": "generated", "day": "2026-12-07"}, "generated", date(2026, 12, 7)),
        ({"feed": "history", "from": "2024-01-01"}, "history", date(2024, 1, 1)),
    ],
)
async def test_the_instruments_and_the_feed_in_force_are_what_a_session_may_name(
    book: Book, tmp_path: Path, spec: dict[str, Any] | None, feed: str, day: date | None
) -> None:
    settings = GatewaySettings(
        database_url=SecretStr("postgresql://none"), redis_url=SecretStr("redis://none"), state_dir=tmp_path
    )
    load = catalogue_from(book, StoredLogins(settings))
    assert list((await load()).instruments) == []
    await register(book)
    if spec is not None:
        await feeds_book(book).begin(FeedRow("i", spec, {}))
    found = await load()
    assert found.instruments.find("NIFTYBANK").symbol == "BANKNIFTY"
    assert (found.reach.feed, found.market_day) == (feed, day)
