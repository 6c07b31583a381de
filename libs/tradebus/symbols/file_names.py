"""The instrument that a history file's own name says.

    BANKNIFTY_1min_2012-2024 · NIFTY 50_minute · RELIANCE-EQ · NIFTY26JUN24000CE · NSE_NIFTY, 1 · BANKNIFTY_F1_2021

Invariant: a name is read only where every word of it is understood: one known instrument, and beside it nothing but
dates, timeframes, exchanges and words of data. `NIFTY IT`, `NIFTY_II` and `NIFTY 26 JUN 24000 CE` say no instrument.
"""

import re

from tradebus.calendar import MarketClass, class_of_share
from tradebus.kernel.errors import InvalidInput
from tradebus.symbols.contract_names import contract_of_name
from tradebus.symbols.descriptions import canonical, known_symbols

_MONTHS = "JAN(?:UARY)?|FEB(?:RUARY)?|MAR(?:CH)?|APR(?:IL)?|MAY|JUNE?|JULY?|AUG(?:UST)?|SEPT?(?:EMBER)?|" \
    "OCT(?:OBER)?|NOV(?:EMBER)?|DEC(?:EMBER)?"  # fmt: skip
_DATED = re.compile(rf"(?:19|20)\d\d|(?:19|20)\d{{4}}|(?:19|20)\d{{6}}|\d\d\d\d(?:19|20)\d\d|\d{{0,2}}(?:{_MONTHS})"
                    r"(?:\d\d|\d{4})?|Q[1-4]|H[12]")  # fmt: skip
_PART_OF_DATE = re.compile(r"0?[1-9]|[12]\d|3[01]")
_PLAIN = re.compile(
    r"\d{0,3}(?:MINUTES?|MINS?|M|SECONDS?|SECS?|S|TICKS?)|M1|1|TICKDATA|TICK|INTRADAY|SPOT|INDEX|IDX|EQ|EQUITY|CASH|"
    r"NSE|BSE|NFO|BFO|DATA|DATASET|OHLCV?|CANDLES?|CANDLESTICKS?|BARS?|PRICES?|HISTORY|HISTORICAL|HIST|FULL|ALL|RAW|"
    r"CLEAN|CLEANED|ADJUSTED|ADJ|EXPORT|DOWNLOAD|FROM|TO|TILL|ONE|IST|UTC|WITH|VOLUME|VOL|OI|SORTED|FINAL|COPY|PART|"
    r"KITE|ZERODHA|UPSTOX|DHAN|GFDL|TRADINGVIEW|TV|MT[45]|YFINANCE|YAHOO"
)
_BETWEEN = re.compile(r"[^A-Z0-9&^]+")
_FRONT = ("F1", "I")
_WORDS_MAX = 4  # of one name, as NIFTY MID SELECT


def symbols_in_file_name(stem: str) -> tuple[str, ...]:
    """The canonical symbol that a file's name (without its endings) says: one where it is clear, none where it says
    none, several where it names several."""
    whole = stem.strip().upper()
    direct = _known(whole)
    if direct:
        return (direct,)
    words = [word for word in _BETWEEN.split(re.sub(r"\(\d+\)$", "", whole)) if word]
    found: list[str] = []
    rest: list[str] = []
    at = 0
    while at < len(words):
        symbol, length = _longest(words[at : at + _WORDS_MAX])
        if symbol:
            found.append(symbol)
        else:
            rest.append(words[at])
        at += length
    return tuple(dict.fromkeys(found)) if _all_understood(rest) else ()


def _longest(words: list[str]) -> tuple[str, int]:
    """The known name that the first of these words begin, and how many they are; ("", 1) where there is none."""
    for count in range(len(words), 0, -1):
        for between in (" ", "-", "_") if count > 1 else ("",):
            symbol = _known(between.join(words[:count]))
            if symbol:
                return symbol, count
    return "", 1


def _known(name: str) -> str:
    """The canonical symbol of a name that is known in full, "" of any other."""
    symbol = canonical(name)
    if _is_traded(symbol):
        return symbol
    for mark in _FRONT:
        for between in "_-":
            underlying = symbol.removesuffix(f"{between}{mark}")
            if underlying != symbol and _is_traded(canonical(underlying)):
                return f"{canonical(underlying)}{'_F1' if mark == 'F1' else '-I'}"
    if " " in symbol or _DATED.fullmatch(symbol):
        return ""
    try:
        contract = contract_of_name(symbol)
    except InvalidInput:  # it looks like a contract's name, and is none
        return ""
    return symbol if contract is not None and _is_traded(contract.name) else ""


def _is_traded(symbol: str) -> bool:
    return symbol in known_symbols() or class_of_share(symbol) is MarketClass.EQUITY_FNO


def _all_understood(rest: list[str]) -> bool:
    has_date = any(_DATED.fullmatch(word) for word in rest)
    return all(
        _PLAIN.fullmatch(word) or _DATED.fullmatch(word) or (has_date and _PART_OF_DATE.fullmatch(word))
        for word in rest
    )
