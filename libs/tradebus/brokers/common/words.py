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
