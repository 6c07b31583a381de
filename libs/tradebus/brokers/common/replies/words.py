"""Words that several brokers write alike."""

from collections.abc import Mapping
from types import MappingProxyType

# Indices whose derivatives carry another name than the index itself. Others keep their own (INDIA VIX, NIFTY IT).
INDEX_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "NIFTY 50": "NIFTY", "NIFTY BANK": "BANKNIFTY", "NIFTY FIN SERVICE": "FINNIFTY",
        "NIFTY MID SELECT": "MIDCPNIFTY", "NIFTY NEXT 50": "NIFTYNXT50", "SNSX50": "SENSEX50",
    }
)  # fmt: skip

# Masters have none, or anything, for what cannot be traded; index values move in steps of 0.05.
INDEX_TICK_PAISE = 5


def index_name(written: str) -> str:
    """A broker's name of an index as its key has it: one spelling at all of them, and no colon, which parts the fields
    of a key (NIFTY500 MULTICAP 50-25-25)."""
    plain = " ".join(written.upper().split()).replace(":", "-")
    return INDEX_NAMES.get(plain, plain)
