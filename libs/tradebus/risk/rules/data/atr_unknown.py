"""Where sizes are by the daily range, an instrument without enough days of it is not entered."""

from tradebus.contracts.sessions import SizingMode
from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding
from tradebus.trading.size.daily_range import ATR_DAYS


def atr_unknown(ask: EntryProposal) -> RuleFinding | None:
    signal, situation = ask.signal, ask.situation
    if situation.terms.sizing_of(signal.strategy, lots=signal.lots).mode is not SizingMode.ATR:
        return None
    if situation.atr_paise(signal.instrument, ts_ns=ask.now_ns) is not None:
        return None
    return block(
        "atr_unknown", f"{signal.symbol} has no {ATR_DAYS} days of candles before this one: fill its history, or "
        "size it by another mode",
    )  # fmt: skip
