"""No secret reaches a log line."""

import io
import sys

import pytest
import structlog

from tradebus.runtime.logs import configure_logs, redact


@pytest.mark.parametrize(
    "text",
    [
        "redis://user:hunter2@host:6379/0 does not answer",
        "postgresql://u:hun@ter2@host/db does not answer",
        "postgresql://host/db?user=u&password=hunter2 refuses us",
        "wss://feed/?access_token=hunter2&x=1",
    ],
)
def test_a_secret_inside_a_url_is_replaced_wherever_it_stands(text):
    for event in ({"event": text}, {"event": "e", "error": {"text": [text]}}, {"event": "e", "tried": (text,)}):
        said = str(redact(None, "info", event))
        assert "ter2" not in said
        assert "***" in said


def test_a_secret_looking_key_is_replaced_at_any_depth():
    said = redact(None, "info", {"event": "e", "api_token": "x1", "request": {"headers": {"Authorization": "x2"}}})
    assert said == {"event": "e", "api_token": "***", "request": {"headers": {"Authorization": "***"}}}


def test_what_is_no_secret_stays():
    event = {"event": "placed 5@100", "count": 3, "url": "http://host:80/a@b", "none": None, "list": [1, "a"]}
    assert redact(None, "info", dict(event)) == event


def test_a_standard_error_that_was_closed_later_takes_no_log_down(monkeypatch):
    first, second = io.StringIO(), io.StringIO()
    before = structlog.get_config()
    monkeypatch.setattr(sys, "stderr", first)
    try:
        configure_logs("test", level="info")
        log = structlog.get_logger().bind()
        log.info("one")
        first.close()
        monkeypatch.setattr(sys, "stderr", second)
        log.info("two")
    finally:
        structlog.configure(**before)
    assert '"event": "two"' in second.getvalue()
