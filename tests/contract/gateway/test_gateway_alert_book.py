"""What each sink of alerts has been told, in the book. On both: in memory and on Postgres."""

import re
from pathlib import Path

from testkit.messages import sample

from services.gateway.alerts.book import BEHIND_NS, HELD_NS, AlertBook, alert_book
from services.gateway.alerts.wording import ALERTS
from tradebus.contracts.base import Message
from tradebus.contracts.orders import OrderFilled, PositionUnprotected
from tradebus.contracts.sessions import KillSwitch
from tradebus.contracts.streams import ORDERS
from tradebus.store.book import Book

NOW_NS = 1_764_500_000_000_000_000
_ROOT = Path(__file__).parents[3]


async def said(book: Book, *messages: Message) -> None:
    async with book.begin() as transaction:
        for one in messages:
            transaction.emit(ORDERS.name, one)


def alert(number: int, *, at_ns: int, model: type[Message] = PositionUnprotected) -> Message:
    return sample(model, event_id=f"e{number}", ts_recorded_ns=at_ns)


async def given(
    alerts: AlertBook, sink: str = "phone:1", *, at_ns: int = NOW_NS, instance: str = "1", most: int = 9
) -> list[str]:
    return [one.event_id for one in await alerts.pending(sink, instance=instance, now_ns=at_ns, most=most)]


async def test_a_sink_is_given_what_was_said_since_it_is_there_until_it_was_told(book: Book) -> None:
    alerts = alert_book(book)
    await said(book, alert(0, at_ns=NOW_NS - 1))
    assert await given(alerts) == []
    await said(
        book, alert(2, at_ns=NOW_NS + 2, model=KillSwitch), alert(1, at_ns=NOW_NS + 1),
        alert(3, at_ns=NOW_NS + 3, model=OrderFilled), alert(4, at_ns=NOW_NS + 4),
    )  # fmt: skip
    assert await given(alerts, most=2) == ["e1", "e2"]
    await alerts.told("phone:1", ["e1"], now_ns=NOW_NS + 5)
    await alerts.told("phone:1", ["e1", "e4"], now_ns=NOW_NS + 6)
    assert await given(alert_book(book)) == ["e2"]
    pending = await alerts.pending("phone:1", instance="1", now_ns=NOW_NS, most=9)
    assert pending == [alert(2, at_ns=NOW_NS + 2, model=KillSwitch)]


async def test_each_sink_is_told_on_its_own_and_a_new_one_of_an_old_name_is_another(book: Book) -> None:
    alerts = alert_book(book)
    assert [await given(alerts, name) for name in ("a:1", "b:1")] == [[], []]
    await said(book, alert(1, at_ns=NOW_NS + 1))
    await alerts.told("a:1", ["e1"], now_ns=NOW_NS)
    assert [await given(alerts, name) for name in ("a:1", "b:1")] == [[], ["e1"]]
    assert await given(alerts, "b:2", at_ns=NOW_NS + 9) == []


async def test_of_two_instances_one_at_a_time_is_given_anything(book: Book) -> None:
    alerts = alert_book(book)
    await given(alerts)
    await said(book, alert(1, at_ns=NOW_NS + 1))
    assert await given(alerts, instance="2", at_ns=NOW_NS + HELD_NS - 1) == []
    assert await given(alerts, instance="2", at_ns=NOW_NS + HELD_NS) == ["e1"]
    assert await given(alerts, instance="1", at_ns=NOW_NS + HELD_NS + 1) == []


async def test_what_lies_long_behind_is_not_looked_through_again_and_nothing_is_lost_by_it(book: Book) -> None:
    alerts = alert_book(book)
    await given(alerts)
    later_ns = NOW_NS + 3 * BEHIND_NS
    await said(book, alert(1, at_ns=NOW_NS + 1))
    assert await given(alerts, at_ns=later_ns) == ["e1"], "it waits however long the sink is away"
    await alerts.told("phone:1", ["e1"], now_ns=later_ns)
    assert await given(alerts, at_ns=later_ns) == []
    await said(book, alert(2, at_ns=later_ns - BEHIND_NS), alert(3, at_ns=later_ns - BEHIND_NS - 1))
    assert await given(alerts, at_ns=later_ns) == ["e2"]


def test_code_statement_and_index_name_the_same_events() -> None:
    names = {one.TYPE for one in ALERTS}
    for path in ("services/gateway/sql/alerts.sql", "libs/tradebus/store/sql/migrations/0017_alerts.sql"):
        listed = re.search(r"type IN \(([^)]*)\)", (_ROOT / path).read_text())
        assert listed is not None
        assert set(re.findall(r"'(\w+)'", listed[1])) == names, path
