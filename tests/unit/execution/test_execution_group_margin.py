"""A leg of a group needs what the broker's calculator says of the legs together; where it is silent, its estimate."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.driven_time import driven
from testkit.fake_broker import MASTER, UNREACHABLE

from services.execution.accounts.entering.entry_margin import EntryMargin
from tradebus.brokers.account import AccountMargins, BasketOrder
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.orders import OrderRequest, Outcome, Result

REFUSED = Outcome(Result.REFUSED, reason="no")
OPTION = contract("OPTION", underlying="NIFTY", strike_paise=2_400_000)
PREMIUM, NAKED = 10_000, 360_000  # what a unit needs alone, bought and sold
TOGETHER = 60_000


class Account:
    """A broker that says what a basket needs; None: it does not answer, a number of seconds: so late."""

    def __init__(self, available_paise: int, together_paise: int | None) -> None:
        self.available_paise, self.together_paise, self.hangs = available_paise, together_paise, False
        self.baskets: list[list[tuple[Transaction, int]]] = []

    async def margins(self) -> AccountMargins:
        return AccountMargins(self.available_paise, 0)

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        self.baskets.append([(one.transaction, one.quantity) for one in orders])
        if self.hangs:
            await asyncio.Event().wait()
        if self.together_paise is None:
            raise UNREACHABLE
        return self.together_paise


def leg(number: int, transaction: Transaction, *, quantity: int = 1, group_id: str | None = "g1") -> OrderRequest:
    return OrderRequest(
        "s1", f"t{number}", number, "X", transaction, OrderType.LIMIT, quantity, 1, 5, 1, price_paise=PREMIUM,
        role=OrderRole.ENTRY, contract=OPTION, group_id=group_id,
    )  # fmt: skip


def margin_of(account: Account, timers: SimulatedTimers) -> EntryMargin:
    return EntryMargin(
        account, lambda instrument: MASTER[0], name="kite:mine", max_age_seconds=600, timers=timers,  # type: ignore[arg-type]
    )  # fmt: skip


async def test_a_hedged_leg_needs_what_the_broker_says_of_both_less_what_is_kept_for_the_first() -> None:
    account = Account(TOGETHER, TOGETHER)
    margin = margin_of(account, SimulatedTimers())
    assert await margin.reserve(leg(1, Transaction.BUY)) is None
    assert account.baskets == [], "the first is alone: nobody is asked"
    assert await margin.reserve(leg(2, Transaction.SELL)) is None
    assert account.baskets == [[(Transaction.BUY, 1), (Transaction.SELL, 1)]]
    assert "under way" in str(await margin.reserve(leg(3, Transaction.BUY, group_id=None)))


@pytest.mark.parametrize("why", ["silent", "hangs", "alone", "another group", "refused"])
async def test_without_the_brokers_word_on_a_hedge_the_estimate_counts(why: str) -> None:
    account, timers = Account(NAKED + PREMIUM - 1, None if why == "silent" else TOGETHER), SimulatedTimers()
    account.hangs = why == "hangs"
    margin = margin_of(account, timers)
    async with driven(timers):
        bought = leg(1, Transaction.BUY, group_id={"alone": None, "another group": "g2"}.get(why, "g1"))
        assert await margin.reserve(bought) is None
        if why == "refused":
            margin.answered(bought, REFUSED)
            account.available_paise = NAKED - 1
        assert (await margin.reserve(leg(2, Transaction.SELL)) is None) is (why == "refused")
    assert len(account.baskets) == (why in ("silent", "hangs"))


async def test_what_the_broker_says_counts_where_it_is_more_than_the_estimate_too() -> None:
    account = Account(2 * NAKED, 3 * NAKED)
    margin = margin_of(account, SimulatedTimers())
    assert await margin.reserve(leg(1, Transaction.SELL)) is None
    assert "needs" in str(await margin.reserve(leg(2, Transaction.SELL)))


@given(st.lists(st.tuples(st.sampled_from(list(Transaction)), st.integers(0, 10**6), st.booleans()), max_size=6))
def test_what_is_kept_for_a_group_is_never_less_than_what_was_said_of_it_last(
    legs: list[tuple[Transaction, int, bool]],
) -> None:
    async def play() -> None:
        available = 10**9
        account, kept = Account(available, 0), dict[str, int]()
        margin = margin_of(account, SimulatedTimers())
        for number, (transaction, together_paise, is_refused) in enumerate(legs):
            account.together_paise = together_paise
            entry = leg(number, transaction)
            assert await margin.reserve(entry) is None
            room = await free(margin, account, number)
            kept[entry.tag] = available - room - sum(kept.values())
            if account.baskets:
                assert sum(kept.values()) >= together_paise or len(kept) == 1
            if is_refused:
                margin.answered(entry, REFUSED)
                del kept[entry.tag]

    asyncio.run(play())


async def free(margin: EntryMargin, account: Account, number: int) -> int:
    """What is left for others, as the refusal of an entry that is too large says it."""
    large = leg(1_000 + number, Transaction.BUY, quantity=10**9, group_id=None)
    said = str(await margin.reserve(large))
    away = said.split("the broker has ")[1].split(", ₹")[1].split(" of it")[0]
    return account.available_paise - round(float(away.replace(",", "")) * 100)
