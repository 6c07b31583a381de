"""The kill switch's row, on both books, and its file."""

import asyncio
import os
from pathlib import Path

import pytest
from testkit.books import BookHarness

from tradebus.store.book import Book
from tradebus.store.books import KillSwitchBook, kill_switch_book
from tradebus.store.books.kill_switch import KILL_FILE, REASON_MAX, FurtherReason, Switch, reason_in, reasons_in


@pytest.fixture
def switch(book: Book) -> KillSwitchBook:
    return kill_switch_book(book)


async def test_nobody_has_touched_it(switch: KillSwitchBook) -> None:
    assert await switch.read() is None


async def test_the_first_engagement_stands(book: Book, switch: KillSwitchBook) -> None:
    first = Switch(engaged=True, reason="enough", changed_ns=5)
    async with book.begin() as transaction:
        assert await switch.engage(transaction, reason="enough", at_ns=5) == first
        assert await switch.read(transaction) == first
        assert await switch.read() is None, "not committed yet"
    async with book.begin() as transaction:
        assert await switch.engage(transaction, reason=" enough ", at_ns=9) == first
    assert await switch.read() == first


async def test_what_is_said_by_whoever_kills_again_is_kept_once_with_its_time_until_the_release(
    book: Book, switch: KillSwitchBook
) -> None:
    for at_ns, reason in ((5, "enough"), (7, "token leaked"), (8, "enough"), (9, "token leaked"), (10, "third")):
        async with book.begin() as transaction:
            stands = await switch.engage(transaction, reason=reason, at_ns=at_ns, unless_released_since_ns=at_ns)
    further = (FurtherReason("token leaked", 7), FurtherReason("third", 10))
    assert stands == Switch(engaged=True, reason="enough", changed_ns=5, further=further)
    async with book.begin() as transaction:
        late = await switch.engage(transaction, reason="of before", at_ns=3, unless_released_since_ns=3)
    assert late == stands == await switch.read()
    async with book.begin() as transaction:
        assert await switch.release(transaction, reason="calm", at_ns=11)
        assert await switch.engage(transaction, reason="new", at_ns=12) == Switch(True, "new", 12)


async def test_a_person_releases_it_once_and_it_can_be_engaged_again(book: Book, switch: KillSwitchBook) -> None:
    async with book.begin() as transaction:
        assert not await switch.release(transaction, reason="nothing", at_ns=1)
        await switch.engage(transaction, reason="enough", at_ns=5)
    async with book.begin() as transaction:
        assert await switch.release(transaction, reason="calm", at_ns=7)
        assert not await switch.release(transaction, reason="calm", at_ns=8)
    assert await switch.read() == Switch(engaged=False, reason="calm", changed_ns=7)
    async with book.begin() as transaction:
        assert (await switch.engage(transaction, reason="more", at_ns=8)).changed_ns == 8


@pytest.mark.parametrize(("given_ns", "stands"), [(6, False), (7, False), (8, True)])
async def test_an_old_command_does_not_engage_what_a_person_has_released_since(
    book: Book, switch: KillSwitchBook, given_ns: int, stands: bool
) -> None:
    async with book.begin() as transaction:
        await switch.engage(transaction, reason="enough", at_ns=5)
        await switch.release(transaction, reason="calm", at_ns=7)
    async with book.begin() as transaction:
        found = await switch.engage(transaction, reason="late", at_ns=given_ns, unless_released_since_ns=given_ns)
    assert found.engaged is stands


async def test_many_at_once_make_one_engagement(books: BookHarness) -> None:
    doors = [await books.book(f"test-{number}") for number in range(3)]

    async def engage(number: int) -> Switch:
        door = doors[number % 3]
        async with door.begin() as transaction:
            return await kill_switch_book(door).engage(transaction, reason=f"{number}", at_ns=number + 1)

    found = await asyncio.gather(*(engage(number) for number in range(12)))
    assert len({(one.reason, one.changed_ns) for one in found}) == 1
    stands = max(found, key=lambda one: len(one.further))
    assert {stands.reason, *(one.reason for one in stands.further)} == {f"{number}" for number in range(12)}


async def test_what_is_rolled_back_was_never_engaged(book: Book, switch: KillSwitchBook) -> None:
    async def failing() -> None:
        async with book.begin() as transaction:
            await switch.engage(transaction, reason="enough", at_ns=5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert await switch.read() is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"enough\nmore", "enough"), (b"", f"file {KILL_FILE}"), (b"\x00\x07", f"file {KILL_FILE}"),
     (b"\xff\xfe", "\ufffd\ufffd"), (b"x" * 10_000_000, "x" * REASON_MAX)],
)  # fmt: skip
def test_the_file_gives_one_short_printable_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / KILL_FILE
    assert reason_in(path) is None
    path.write_bytes(content)
    assert reason_in(path) == reason


def test_each_line_of_the_file_is_a_reason_once(tmp_path: Path) -> None:
    path = tmp_path / KILL_FILE
    assert reasons_in(path) == ()
    path.write_text("enough\n\ntoken leaked\nenough\ntoken leaked\n" + "x\n" * 100_000)
    assert reasons_in(path) == ("enough", "token leaked", "x")


def test_whatever_has_the_files_name_engages_and_holds_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert reason_in(tmp_path / "pipe") == "file pipe"
    assert "cannot be read" in (reason_in(tmp_path / "folder") or "")
    assert reason_in(tmp_path / "missing" / KILL_FILE) is None
