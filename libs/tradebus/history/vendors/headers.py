"""Which of a vendor's columns is what, by its name.

Invariant: a name is compared in small letters without anything but letters and digits, so `<OPEN>`, `Open` and `open `
are one. Of two columns for one role the one whose alias stands first is taken.
"""

import re
from collections.abc import Mapping, Sequence

from tradebus.history.layout import columns_in_words
from tradebus.kernel.errors import InvalidInput, nearest

# UDiFF and bhavcopy spellings are those of the exchange's own files.
_ALIASES: dict[str, tuple[str, ...]] = {
    "ts": (
        "ts", "timestamp", "datetime", "dateandtime", "tradetime", "ltt", "lasttradetime", "starttime", "opentime",
        "epoch", "unix", "exchangetimestamp", "indexlevel0", "index", "",
    ),
    "date": ("date", "tradedate", "traddt", "dtyyyymmdd", "day"),
    "time": ("time", "timehhmm", "tradtm"),
    "open": ("open", "o", "openprice", "opnpric", "opn"),
    "high": ("high", "h", "highprice", "hghpric"),
    "low": ("low", "l", "lowprice", "lwpric"),
    "close": ("close", "c", "closeprice", "clspric"),
    "price": ("price", "ltp", "lastprice", "last", "lasttradedprice"),
    "volume": ("volume", "v", "vol", "totalvolume", "tottrdqty", "ttltradgvol", "ltq", "lasttradedquantity", "qty",
        "tickvol"),
    "open_interest": ("openinterest", "oi", "openint", "opnintrst"),
    "symbol": ("symbol", "ticker", "tckrsymb", "tradingsymbol", "instrument"),
}  # fmt: skip
BARS = ("open", "high", "low", "close")
# What tells one contract of an underlying from another.
_OF_CONTRACTS = {
    "strike": ("strike", "strikeprice", "strikepr", "strkpric"),
    "right": ("optiontype", "optiontyp", "optntp", "right", "cepe", "callput"),
    "expiry": ("expiry", "expirydate", "expirydt", "xprydt", "expiration"),
}
_BHAVCOPIES = (
    ({"traddt", "tckrsymb"}, "the exchange's bhavcopy (UDiFF)"),
    ({"series", "tottrdqty"}, "NSE's bhavcopy of shares"),
    ({"series", "date1"}, "NSE's bhavcopy of shares with deliveries"),
    ({"expirydt", "strikepr"}, "NSE's bhavcopy of futures and options"),
)


def plain(name: str) -> str:
    """`<DATE>` as `date`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def bhavcopy_of(names: Sequence[str]) -> str:
    """What to call it where the columns are those of an exchange's file of days, "" where they are not."""
    own = {plain(name) for name in names}
    return next((called for needed, called in _BHAVCOPIES if needed <= own), "")


def contract_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The file's own columns that tell one contract of an underlying from another."""
    return tuple(name for aliases in _OF_CONTRACTS.values() for name in names if plain(name) in aliases)


def has_symbols(names: Sequence[str]) -> bool:
    """Whether some column is of symbols."""
    return any(plain(name) in _ALIASES["symbol"] for name in names)


def roles_of(names: Sequence[str], said: Mapping[str, str], *, source: str) -> dict[str, str]:
    """The file's own column name by role; `said` overrules. Raises InvalidInput naming what is missing or doubled."""
    own: dict[str, list[str]] = {}
    for name in names:
        own.setdefault(plain(name), []).append(name)
    roles = {role: _said(name, names, role=role, source=source) for role, name in said.items()}
    for role, aliases in _ALIASES.items():
        if role in roles:
            continue
        free = [name for alias in aliases for name in own.get(alias, ()) if name not in roles.values()]
        if free and len(own[plain(free[0])]) > 1:
            raise InvalidInput(
                f"{source}: column {free[0]!r} occurs twice: name the one for {role} with --columns, or remove one"
            )
        if free:
            roles[role] = free[0]
    return _settled(roles, names, said, source=source)


def _said(name: str, names: Sequence[str], *, role: str, source: str) -> str:
    for own in names:
        if own == name or own.strip().lower() == name.lower():
            return own
    raise InvalidInput(
        f"{source}: --columns {role}={name}: there is no such column{nearest(name, names)}; it has "
        f"{columns_in_words(names)}"
    )


def _settled(
    roles: dict[str, str], names: Sequence[str], said: Mapping[str, str], *, source: str
) -> dict[str, str]:  # fmt: skip
    """One time and either bars or ticks."""
    if "ts" in said:
        roles.pop("date", None)
        roles.pop("time", None)
    elif "date" in roles:
        # A row's date, with its time where that stands apart, says more than an index or a count beside it.
        if "time" in roles:
            roles.pop("ts", None)
        elif "ts" not in roles or plain(roles["ts"]) in ("index", "", "indexlevel0"):
            roles["ts"] = roles.pop("date")
        else:
            roles.pop("date")
    elif "time" in roles:
        roles.setdefault("ts", roles["time"])
        roles.pop("time")
    if not any(name in roles for name in BARS) or ("price" in said and "close" not in said):
        for name in BARS:
            roles.pop(name, None)
    else:
        roles.pop("price", None)
    needed = ("price",) if "price" in roles else BARS
    missing = [name for name in needed if name not in roles]
    if not {"ts", "date"} & set(roles):
        missing.insert(0, "ts")
    if missing:
        use = "the start of the bar in Indian time" if missing[0] == "ts" else "rupees"
        raise InvalidInput(
            f"{source}: no column {missing[0]!r} ({use}){nearest(missing[0], names)}; it has "
            f"{columns_in_words(names)}. Bars need ts, open, high, low, close; ticks need ts, price: name it with "
            f"--columns {missing[0]}=ITS_NAME"
        )
    return roles
