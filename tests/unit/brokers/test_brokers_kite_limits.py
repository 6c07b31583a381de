"""Answers without end: too long, or one byte at a time. Both are given up, and say nothing about an order."""

import io
import time

import pytest
from requests import Response
from urllib3 import HTTPResponse

from tradebus.brokers.errors import Malformed, NoAnswer, Refused
from tradebus.brokers.kite import failures
from tradebus.brokers.kite.failures import classify, inspect
from tradebus.kernel.errors import InvalidInput


class Dripping(io.BytesIO):
    """One byte at a time, for ever."""

    def read1(self, size: int | None = -1) -> bytes:
        time.sleep(0.002)  # what drips
        return b"x"


def response(raw) -> Response:
    answer = Response()
    answer.status_code, answer.raw = 200, HTTPResponse(raw, preload_content=False)
    return answer


def test_an_answer_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(failures, "REQUEST_SECONDS", 0.02)
    with pytest.raises(NoAnswer, match="no whole answer"):
        inspect(response(Dripping()))


def test_an_answer_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(failures, "REPLY_BYTES_MAX", 2**20)
    with pytest.raises(Malformed, match="more than 1 MB"):
        inspect(response(io.BytesIO(b"x" * (2**20 + 1))))


def test_a_whole_answer_is_handed_on():
    assert inspect(response(io.BytesIO(b"x" * 2**20))).content == b"x" * 2**20


def test_what_the_sdk_raises_has_a_meaning():
    from kiteconnect import exceptions as kite

    assert isinstance(classify(kite.InputException("tick size", code=400)), Refused)
    assert isinstance(classify(kite.OrderException("failed", code=500)), NoAnswer)
    assert isinstance(classify(kite.NetworkException("busy", code=503)), NoAnswer)
    assert isinstance(classify(kite.DataException("Unknown Content-Type")), Malformed)
    assert isinstance(classify(TimeoutError()), NoAnswer)
    assert isinstance(classify(ConnectionResetError()), NoAnswer)
    assert isinstance(classify(KeyError("data")), Malformed)
    assert isinstance(classify(InvalidInput("kite rest: points elsewhere")), Refused)
    assert isinstance(classify(ModuleNotFoundError("No module named 'kiteconnect'")), Refused)
