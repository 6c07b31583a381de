"""The exchange takes the stop that an entry gets: for a share, a future and an option, by the rules of the day."""

from datetime import timedelta

from tradebus.calendar import (
    Contract,
    ProposedOrder,
    lot_size,
    market_protection_required,
    protective_limit_paise,
    values_legal,
)
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.time import ist_date
from tradebus.preflight.gate import Facts, GateAnswer

_TRIGGER_PAISE = 20_000


async def ask(facts: Facts) -> GateAnswer:
    day = ist_date(facts.clock.now_ns())
    lot, expiry = lot_size("NIFTY", day, kind="FUTURE"), day + timedelta(days=7)
    samples = (
        Contract("a share", "EQUITY", "equity", "RELIANCE", 1, 10),
        Contract("a future", "FUTURE", "derivative", "NIFTY", lot, 10, expiry=expiry),
        Contract(
            "an option", "OPTION", "derivative", "NIFTY", lot, 5, expiry=expiry, strike_paise=2_600_000,
            right=Right.CALL,
        ),
    )  # fmt: skip
    for contract in samples:
        limit = protective_limit_paise(contract, transaction=Transaction.SELL, trigger_paise=_TRIGGER_PAISE, day=day)
        kind = OrderType.SL_M if limit is None else OrderType.SL
        stop = ProposedOrder(
            OrderRole.STOP, Transaction.SELL, kind, contract.lot_size, limit, _TRIGGER_PAISE,
            has_protection=market_protection_required(day, kind),
        )  # fmt: skip
        refused = values_legal(contract, stop, day=day)
        if refused is not None:
            return GateAnswer(
                f"the stop of {contract.symbol} would be refused: {refused.rule}, {refused.detail}",
                "correct the rule in TRADEBUS_MARKET_RULES, or use a release that knows it",
            )
    return GateAnswer("stops of shares, futures and options are legal today")
