"""The limit of what a stop places when it is hit. Pure."""

from datetime import date

from tradebus.calendar import Contract, protective_limit_paise
from tradebus.contracts.orders import Transaction

STANDING_REACH_PCT = 3  # what a broker's own trigger places is a limit order: so far beyond the trigger


def stop_limit_paise(
    contract: Contract, *, transaction: Transaction, trigger_paise: int, day: date, is_standing: bool
) -> int | None:
    """In paise, on the tick, on the far side of the trigger; None for a stop at the market. An option's lies inside the
    exchange's price protection."""
    limit_paise = protective_limit_paise(contract, transaction=transaction, trigger_paise=trigger_paise, day=day)
    if limit_paise is not None or not is_standing:
        return limit_paise
    tick, reach_paise = contract.tick_size_paise, trigger_paise * STANDING_REACH_PCT // 100
    if transaction is Transaction.BUY:
        return max(trigger_paise, (trigger_paise + reach_paise) // tick * tick)
    return max(tick, min(trigger_paise, -(-(trigger_paise - reach_paise) // tick) * tick))
