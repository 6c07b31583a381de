"""Signatures of webhooks, their pace, and how their sources are kept."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.gateway.hooks.pace import MinutePace
from services.gateway.hooks.signing import KEY, SIGNATURE, TIMESTAMP, BadHead, SignedHead, read_head, signature_of
from services.gateway.hooks.sources import WebhookSource, WebhookSources
from tradebus.kernel.errors import InvalidInput

SECRET = "the-secret-of-the-chart-program-0123456789"
_SECOND_NS = 1_000_000_000


def test_the_signature_is_the_one_that_the_documents_describe() -> None:
    """Made with `openssl dgst -sha256 -hmac`."""
    made = signature_of(b"secret", timestamp="1764500000", key="k1", body=b'{"do":"ENTER"}')
    assert made == "741168345b97783c0db8dcb1a7c22959edf30c03476907bd7621255c21bd52c1"


_KEYS = st.from_regex(r"[A-Za-z0-9_.:-]{1,20}", fullmatch=True)
_TIMES = st.integers(0, 10**11).map(str)
_PARTS = st.tuples(st.binary(min_size=1, max_size=20), _TIMES, _KEYS, st.binary(max_size=20))


@given(_PARTS, _PARTS)
def test_a_signature_fits_what_was_signed_and_nothing_else(
    ours: tuple[bytes, str, str, bytes], theirs: tuple[bytes, str, str, bytes]
) -> None:
    secret, timestamp, key, body = ours
    signature = signature_of(secret, timestamp=timestamp, key=key, body=body)
    other_secret, other_timestamp, other_key, other_body = theirs
    assert SignedHead(timestamp, key, signature.upper()).fits(secret, body)
    # A secret and one with zeros behind it are one to HMAC.
    same = (secret.rstrip(b"\0"), *ours[1:]) == (other_secret.rstrip(b"\0"), *theirs[1:])
    assert SignedHead(other_timestamp, other_key, signature).fits(other_secret, other_body) == same


@given(st.dictionaries(st.sampled_from((TIMESTAMP, KEY, SIGNATURE)), st.text()))
def test_any_head_is_a_signed_one_or_names_a_header(head: dict[str, str]) -> None:
    found = read_head(head)
    assert isinstance(found, SignedHead) or found.header in (TIMESTAMP, KEY, SIGNATURE)
    if isinstance(found, BadHead):
        assert head.get(found.header, "") not in found.problem or not head.get(found.header)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.integers(1, 5))
def test_no_minute_has_more_than_it_may_and_who_waits_as_told_is_let_through(gaps: list[int], per_minute: int) -> None:
    pace, now_ns, passed = MinutePace(), 0, list[int]()
    for gap in gaps:
        now_ns += gap * _SECOND_NS
        wait_seconds = pace.wait_seconds("a", per_minute=per_minute, now_ns=now_ns)
        if wait_seconds:
            assert 0 < wait_seconds <= 60
            now_ns += wait_seconds * _SECOND_NS
            assert pace.wait_seconds("a", per_minute=per_minute, now_ns=now_ns) == 0
        passed.append(now_ns)
        assert sum(now_ns - one < 60 * _SECOND_NS for one in passed) <= per_minute
        assert MinutePace().wait_seconds("b", per_minute=per_minute, now_ns=now_ns) == 0


def test_a_source_is_kept_as_it_was_given_and_nothing_of_it_can_be_read(tmp_path: Path) -> None:
    sources = WebhookSources(tmp_path, key=None)
    kept = WebhookSource("chart", "123", 12, SecretStr(SECRET))
    sources.put(kept)
    assert (sources.find("chart"), sources.find("other"), sources.find("../chart")) == (kept, None, None)
    assert sources.names() == ["chart"]
    file = tmp_path / "webhooks" / "chart"
    assert SECRET.encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET not in repr(kept)
    file.write_bytes(file.read_bytes()[:-9] + b"A" * 9)
    with pytest.raises(InvalidInput, match="webhook 'chart' cannot be opened"):
        sources.find("chart")
    sources.remove("chart")
    with pytest.raises(InvalidInput, match="not stored here"):
        sources.remove("chart")


@pytest.mark.parametrize("name", ["", "Chart", "9x", "a-b", "x" * 33, "../x"])
def test_a_bad_name_and_a_short_secret_are_refused(tmp_path: Path, name: str) -> None:
    sources = WebhookSources(tmp_path, key=None)
    with pytest.raises(InvalidInput, match="is no name"):
        sources.put(WebhookSource(name, "123", 12, SecretStr(SECRET)))
    with pytest.raises(InvalidInput, match="at least 32") as short:
        sources.put(WebhookSource("chart", "123", 12, SecretStr("hunter2hunter2")))
    assert "hunter2" not in str(short.value)
    assert sources.names() == []
