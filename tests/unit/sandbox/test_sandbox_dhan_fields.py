"""Dhan's face reads bodies strictly and tells every problem in Dhan's own shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.faces.dhan.fields import Fields
from services.sandbox.faces.dhan.problems import DhanProblem, error_body, of_refusal
from services.sandbox.ports import Refusal, Why
from tradebus.kernel.time import ist_datetime

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(anything)
def test_a_field_of_any_kind_is_read_or_refused_by_its_name(value: object) -> None:
    fields, problems = Fields({"field": value}), []
    for read in (fields.text, fields.whole, fields.paise, fields.flag, fields.items, fields.moment_ns):
        try:
            read("field")
        except DhanProblem as problem:
            problems.append(problem)
    assert all(problem.code == "DH-905" and "field" in problem.message for problem in problems)


@given(anything)
def test_a_body_that_is_no_object_is_refused(value: object) -> None:
    if not isinstance(value, dict):
        with pytest.raises(DhanProblem, match="JSON object"):
            Fields(value)


@given(st.text(alphabet="abcXYZ019 _-", max_size=30))
def test_a_correlation_id_of_dhans_alphabet_is_taken(text: str) -> None:
    assert Fields({"correlationId": text}).correlation_id() == text


@pytest.mark.parametrize("text", ["a" * 31, "a/b", "é", "a\n"])
def test_another_correlation_id_is_refused(text: str) -> None:
    with pytest.raises(DhanProblem, match="correlationId"):
        Fields({"correlationId": text}).correlation_id()


@given(st.integers(0, 10**9))
def test_rupees_come_out_in_paise_whether_text_or_number(paise: int) -> None:
    for told in (paise / 100, f"{paise // 100}.{paise % 100:02d}"):
        assert Fields({"price": told}).paise("price") == paise


@pytest.mark.parametrize("value", [-1, "-0.01", 1.001, "1e400", float("nan"), True, [], "ten"])
def test_an_amount_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(DhanProblem, match="price"):
        Fields({"price": value}).paise("price")


@given(st.integers(1, 10**7), st.integers(1, 400))
def test_the_binary_noise_of_a_sum_of_floats_is_no_fraction_of_a_paisa(paise: int, ticks: int) -> None:
    assert Fields({"price": paise / 100 + ticks * 0.05}).paise("price") == paise + 5 * ticks


@pytest.mark.parametrize("text", ["²", "１３", "1" * 40, "-1", "1.5"])
def test_what_only_looks_like_a_number_is_none(text: str) -> None:
    with pytest.raises(DhanProblem, match="quantity"):
        Fields({"quantity": text}).whole("quantity")


def test_a_bare_date_is_its_indian_midnight_or_the_next() -> None:
    fields = Fields({"toDate": "2026-11-25"})
    assert f"{ist_datetime(fields.moment_ns('toDate')):%d %H:%M}" == "25 00:00"
    assert f"{ist_datetime(fields.moment_ns('toDate', whole_day_after=True)):%d %H:%M}" == "26 00:00"
    assert f"{ist_datetime(Fields({'a': '2026-11-25 09:15:01'}).moment_ns('a')):%H:%M:%S}" == "09:15:01"


@pytest.mark.parametrize("why", Why)
def test_every_refusal_of_the_exchange_has_a_code_and_a_client_error(why: Why) -> None:
    problem = of_refusal(Refusal(why, "what is wrong"))
    assert problem.code in ("DH-903", "DH-905", "DH-906")
    assert 400 <= problem.status < 500
    assert problem.body()["errorMessage"] == "what is wrong"


@pytest.mark.parametrize(("status", "code"), [(429, "DH-904"), (500, "DH-908"), (502, "DH-909"), (503, "DH-908")])
def test_what_stands_before_the_face_speaks_dhans_language(status: int, code: str) -> None:
    assert error_body(status, "text")["errorCode"] == code


def test_a_data_error_is_told_both_ways() -> None:
    problem = DhanProblem("805", "Too many requests")
    assert (problem.status, problem.body()["data"]) == (429, {"805": "Too many requests"})
