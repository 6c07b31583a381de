"""The number an authenticator shows: RFC 6238 with SHA-1, six digits and half a minute, which is what brokers hand out.

A dozen lines of the standard library, beside which a package would be one more thing to trust with a second factor.
"""

import base64
import hashlib
import hmac
import struct

from tradebus.kernel.errors import InvalidInput

_STEP_SECONDS, _DIGITS, _BYTES_MIN = 30, 6, 10


def read_seed(text: str) -> bytes:
    """Of the letters under a QR code, blanks and case as they come. Raises InvalidInput, which repeats nothing."""
    letters = "".join(text.split()).replace("-", "").rstrip("=").upper()
    try:
        seed = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except ValueError:  # of letters that are none, too
        raise InvalidInput(
            "totp seed: is not base32 (A-Z and 2-7), as the broker shows it beside the QR code"
        ) from None
    if len(seed) < _BYTES_MIN:
        raise InvalidInput("totp seed: is too short; give the whole of what the broker shows beside the QR code")
    return seed


def totp_of(seed: str, *, at_ns: int) -> str:
    """What the authenticator shows then. Raises InvalidInput for what is no seed."""
    count = struct.pack(">Q", at_ns // 1_000_000_000 // _STEP_SECONDS)
    digest = hmac.new(read_seed(seed), count, hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"
