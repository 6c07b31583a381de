"""What a signed signal is: its time, its key and its body, and proof that who holds the secret sent all three.

    X-Tradebus-Timestamp   seconds since the epoch, when it was sent
    X-Tradebus-Key         the sender's own name for the signal; sent again under it, it is the same signal
    X-Tradebus-Signature   HMAC-SHA256 of "<timestamp>.<key>." and the body, in hex

Invariants (property-tested): a signature fits no other time, key, body or secret; any head gives a signed head or the
header that is wrong, and no exception.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

TIMESTAMP, KEY, SIGNATURE = "X-Tradebus-Timestamp", "X-Tradebus-Key", "X-Tradebus-Signature"
WINDOW_SECONDS = 300
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")
_FORMS = {
    TIMESTAMP: (_TIMESTAMP, "the time in whole seconds since the epoch, UTC"),
    KEY: (_KEY, "your own name for the signal, 1 to 128 letters, digits or . _ : -"),
    SIGNATURE: (_SIGNATURE, "the HMAC-SHA256 in 64 hexadecimal digits"),
}


@dataclass(frozen=True, slots=True)
class SignedHead:
    """What the head says; whether it is true the signature has to say."""

    timestamp: str
    key: str
    signature: str

    def fits(self, secret: bytes, body: bytes) -> bool:
        """In the same time whatever was sent."""
        ours = signature_of(secret, timestamp=self.timestamp, key=self.key, body=body)
        return hmac.compare_digest(ours, self.signature.lower())

    def age_seconds(self, now_ns: int) -> int:
        """Below 0 where it is ahead of our clock."""
        return now_ns // 1_000_000_000 - int(self.timestamp)


@dataclass(frozen=True, slots=True)
class BadHead:
    header: str
    problem: str


def read_head(head: Mapping[str, str]) -> SignedHead | BadHead:
    """`head` finds a header whatever its case."""
    found = {}
    for name, (form, words) in _FORMS.items():
        value = head.get(name)
        if value is None or not form.fullmatch(value):
            return BadHead(name, f"{'is missing' if value is None else 'cannot be read'}: {words}")
        found[name] = value
    return SignedHead(found[TIMESTAMP], found[KEY], found[SIGNATURE])


def signature_of(secret: bytes, *, timestamp: str, key: str, body: bytes) -> str:
    """In small hexadecimal letters."""
    return hmac.new(secret, f"{timestamp}.{key}.".encode() + body, hashlib.sha256).hexdigest()
