"""The authenticator's number: RFC 6238's own vectors; a seed as people copy it; nothing of a seed is told."""

import pytest

from tradebus.brokers.common.access.totp import totp_of
from tradebus.kernel.errors import InvalidInput

SEED = (
    "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", appendix B of the RFC, of whose eight digits six count
)
VECTORS = [
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
    (20000000000, "353130"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "number"), VECTORS)
def test_the_vectors_of_the_rfc(seconds: int, number: str) -> None:
    assert totp_of(SEED, at_ns=seconds * 10**9) == number


def test_a_number_stands_for_half_a_minute() -> None:
    shown = [totp_of(SEED, at_ns=second * 10**9) for second in (30, 59, 60)]
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.parametrize("copied", [SEED.lower(), " ".join(SEED[at : at + 4] for at in range(0, 32, 4)), SEED + "==\n"])
def test_a_seed_is_read_as_people_copy_it(copied: str) -> None:
    assert totp_of(copied, at_ns=59 * 10**9) == "287082"


@pytest.mark.parametrize("bad", ["", "GEZDGNBV", "1" * 32, "ümläut" * 6, "287082"])
def test_what_is_no_seed_is_refused_and_not_repeated(bad: str) -> None:
    with pytest.raises(InvalidInput, match="totp seed") as refused:
        totp_of(bad, at_ns=0)
    assert not bad or bad not in str(refused.value)
