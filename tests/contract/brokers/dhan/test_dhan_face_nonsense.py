"""Whatever a client sends, the face answers in Dhan's way and never with an error of its own."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.dhan_market import Desk

PLACES = [
    ("POST", "/orders"), ("POST", "/orders/slicing"), ("PUT", "/orders/1"), ("POST", "/super/orders"),
    ("PUT", "/super/orders/1"), ("POST", "/forever/orders"), ("PUT", "/forever/orders/1"), ("POST", "/alerts/orders"),
    ("PUT", "/alerts/orders/1"), ("POST", "/positions/convert"), ("POST", "/margincalculator"),
    ("POST", "/margincalculator/multi"), ("POST", "/killswitch"), ("POST", "/pnlExit"), ("POST", "/charts/intraday"),
    ("POST", "/charts/historical"), ("POST", "/charts/rollingoption"), ("POST", "/marketfeed/quote"),
    ("POST", "/optionchain"), ("POST", "/optionchain/expirylist"), ("POST", "/edis/form"), ("POST", "/ip/setIP"),
    ("GET", "/ledger?from-date=x&to-date=2026-11-25"), ("GET", "/trades/0/0/0"), ("GET", "/orders/external/%00"),
    ("DELETE", "/super/orders/1/LEG"), ("GET", "/edis/inquire/%20"),
]  # fmt: skip
SOUND: dict[str, Any] = {
    "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "LIMIT",
    "validity": "DAY", "securityId": "1333", "quantity": 1, "price": 1000.0, "triggerPrice": 990.0,
    "targetPrice": 1100.0, "stopLossPrice": 900.0, "trailingJump": 1.0, "orderFlag": "OCO", "price1": 1.0,
    "triggerPrice1": 1.0, "quantity1": 1, "legName": "ENTRY_LEG", "orderId": "1", "instrument": "EQUITY",
    "interval": "5", "fromDate": "2026-11-24", "toDate": "2026-11-25", "NSE_EQ": [1333], "UnderlyingScrip": 13,
    "UnderlyingSeg": "IDX_I", "Expiry": "2026-12-01", "scripList": [{}], "fromProductType": "INTRADAY",
    "toProductType": "CNC", "convertQty": 1, "positionType": "LONG", "expiryFlag": "WEEK", "expiryCode": 1,
    "strike": "ATM", "drvOptionType": "CALL", "requiredData": ["open"], "profitValue": 1, "lossValue": 1,
    "condition": {"comparisonType": "PRICE_WITH_VALUE"}, "orders": [{}], "ip": "192.0.2.1", "ipFlag": "PRIMARY",
}  # fmt: skip
nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(list(SOUND)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(SOUND)), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(PLACES), spoiled=st.dictionaries(st.sampled_from(list(SOUND)), nonsense, max_size=4),
    dropped=st.sets(st.sampled_from(list(SOUND)), max_size=3),
)  # fmt: skip
def test_a_spoiled_body_is_answered(
    one_desk: Desk, place: tuple[str, str], spoiled: dict[str, Any], dropped: set[str]
) -> None:
    body = {name: value for name, value in (SOUND | spoiled).items() if name not in dropped}
    _answered(one_desk, place, json.dumps(body))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(PLACES), body=st.binary(max_size=40) | nonsense.map(lambda value: json.dumps(value).encode())
)
def test_what_is_no_body_is_answered(one_desk: Desk, place: tuple[str, str], body: bytes) -> None:
    _answered(one_desk, place, body)


def _answered(desk: Desk, place: tuple[str, str], body: str | bytes) -> None:
    method, path = place
    http = desk.sdk.context.get_dhan_http()
    answer = http.session.request(method, http.base_url + path, headers=http.header, data=body, timeout=5)
    assert answer.status_code < 500, answer.text
    if not answer.ok:
        assert {"errorType", "errorCode", "errorMessage"} <= set(answer.json()), answer.text
