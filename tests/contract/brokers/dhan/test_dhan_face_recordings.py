"""The face beside what is known of Dhan: every request that the official SDK was recorded to send is answered sensibly,
and every documented reply has its names and kinds of values in ours. Reads the recordings where they lie."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from testkit.dhan_hands import data
from testkit.dhan_market import Desk, Market, bought
from testkit.dhan_streams import SdkUpdates, until

from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import Product

pytestmark = pytest.mark.shared_data
FIXTURES = Path(__file__).parents[4].parent / "shared" / "fixtures" / "dhan"
if not FIXTURES.is_dir():
    pytest.skip("the recordings do not lie beside the checkout", allow_module_level=True)

RECORDED = json.loads((FIXTURES / "sdk_requests.json").read_text())
REQUESTS = [(each["call"], request) for each in RECORDED for request in each["requests"]]


@pytest.fixture(scope="module")
def client(market: Market) -> Desk:
    """A client who has something of everything."""
    desk = market.desk()
    bought(desk, market.share, 10, Product.DELIVERY)
    bought(desk, market.share, 10)
    desk.place(desk.ask(market.share, OrderType.LIMIT, tag="strat1"))
    near = market.touch(market.share)
    low, high = (int(near.last * factor) // near.tick * near.tick / 100 for factor in (0.95, 1.05))
    data(
        desk.sdk.dhan.place_forever(
            "1333", "NSE_EQ", "SELL", "CNC", "LIMIT", 1, low, low, "OCO", 0, "DAY", high, high, 1
        )
    )
    return desk


def _ask(desk: Desk, request: dict[str, Any], path: str, body: str | None) -> requests.Response:
    headers = request["headers"] | {"access-token": desk.token, "client-id": desk.account}
    return requests.request(request["method"], desk.market.box.dhan_url + path, headers=headers, data=body, timeout=5)


@pytest.mark.parametrize(("call", "request_"), REQUESTS, ids=[call for call, _ in REQUESTS])
def test_a_recorded_request_is_answered_in_dhans_way(market: Market, call: str, request_: dict[str, Any]) -> None:
    answer = _ask(market.desk(), request_, request_["path"], request_["body"])
    assert answer.status_code < 500
    body = answer.json()
    if answer.ok:
        assert "errorCode" not in body
    else:
        assert {"errorType", "errorCode", "errorMessage"} <= set(body), body


@pytest.mark.parametrize(("call", "request_"), REQUESTS, ids=[call for call, _ in REQUESTS])
def test_a_recorded_request_about_what_exists_succeeds(client: Desk, call: str, request_: dict[str, Any]) -> None:
    desk = client.market.desk()
    bought(desk, client.market.share, 10)
    order = desk.place(desk.ask(client.market.share, OrderType.LIMIT, tag="strat1"))
    near = client.market.touch(client.market.share).last / 100
    dhan = desk.sdk.dhan
    low, high = round(near * 0.95), round(near * 1.05)
    forever = data(dhan.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 1, low, low))["orderId"]
    entry = data(dhan.place_super_order("1333", "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", low, high, low - 5))["orderId"]
    path = request_["path"].replace("112111182198", order).replace("/forever/orders/1", f"/forever/orders/{forever}")
    path = path.replace("/super/orders/1/", f"/super/orders/{entry}/")
    body = json.loads(request_["body"] or "{}")
    body |= {"orderId": order} if "orderId" in body else {}
    body |= {"securityId": client.market.option.token} if body.get("securityId") == "52175" else {}
    body |= {"Expiry": str(client.market.option.key.expiry)} if "Expiry" in body else {}
    for name, value in (("triggerPrice", low), ("triggerPrice1", high), ("price1", high)):
        if body.get("orderFlag") and body.get(name):
            body[name] = value
    if call == "modify_order":
        body["price"] = low
    answer = _ask(desk, request_, path, json.dumps(body) if request_["body"] else None)
    assert answer.ok, answer.text


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "flag"
    return {int: "number", float: "number", str: "text", list: "list", dict: "object"}.get(type(value), "null")


def differences(known: Any, ours: Any, where: str = "") -> list[str]:
    """Names that a documented reply has and ours has not, and values of another kind. null goes with everything."""
    if isinstance(known, dict) and isinstance(ours, dict):
        named = {name: value for name, value in known.items() if name != "..."}
        missing = [f"{where}.{name}: missing" for name in named if name not in ours]
        inner = [differences(value, ours[name], f"{where}.{name}") for name, value in named.items() if name in ours]
        return missing + [each for found in inner for each in found]
    if isinstance(known, list) and isinstance(ours, list):
        return differences(known[0], ours[0], f"{where}[0]") if known and ours else []
    kinds = {_kind(known), _kind(ours)} - {"null"}
    return [f"{where}: {_kind(known)} expected, {_kind(ours)} found"] if len(kinds) > 1 else []


def _stub(name: str) -> Any:
    return json.loads((FIXTURES / "sdk_tests" / name).read_text())["data"]


def _documented(page: str, heading: str, place: int = -1) -> Any:
    """The last body under a heading, which is the reply where the request stands first."""
    bodies = json.loads((FIXTURES / "docs_samples" / page).read_text())
    return [each["body"] for each in bodies if each["heading"].startswith(heading) and each["valid_json"]][place]


@pytest.mark.parametrize(
    ("stub", "path"),
    [
        ("get-current-orders-list.json", "/orders"), ("get-order-by-correlation-id.json", "/orders/external/strat1"),
        ("get_all_trades.json", "/trades/"), ("get_trade_history.json", "/trades/2026-11-01/2026-11-30/0"),
        ("get_fund_limits.json", "/fundlimit"), ("get_positions.json", "/positions"),
        ("get-forever-orders-list.json", "/forever/orders"),
    ],
)  # fmt: skip
def test_a_reply_has_the_names_of_the_sdks_own_stub(client: Desk, stub: str, path: str) -> None:
    ours = data(client.sdk.context.get_dhan_http().get(path))
    assert ours
    assert differences(_stub(stub), ours) == []


def test_the_other_stubs_too(client: Desk) -> None:
    dhan, touch = client.sdk.dhan, client.market.touch(client.market.share)
    placed = dhan.place_order("1333", "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", touch.bid / 100 - 5)
    assert differences(_stub("place_order.json"), data(placed)) == []
    sliced = dhan.place_slice_order("1333", "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", touch.bid / 100 - 5)
    assert differences(_stub("place_slice_order.json"), data(sliced)) == []
    margin = dhan.margin_calculator("1333", "NSE_EQ", "BUY", 1, "INTRADAY", 1000)
    assert differences(_stub("margin_calculator.json"), data(margin)) == []
    (ledger,) = data(dhan.ledger_report("2026-11-01", "2026-11-30"))
    assert differences(_stub("get_ledger_report.json"), ledger) == []
    order = data(dhan.get_order_by_id(data(placed)["orderId"]))
    assert differences(_stub("get-order-by-id.json"), order) == []


@pytest.mark.parametrize(
    ("page", "heading", "method", "path", "body"),
    [
        ("classic_02_authentication.json", "Get IP", "GET", "/ip/getIP", None),
        ("classic_02_authentication.json", "User Profile", "GET", "/profile", None),
        ("classic_07_option_chain.json", "Expiry List", "POST", "/optionchain/expirylist",
         {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I"}),
        ("classic_18_funds.json", "Fund Limit", "GET", "/fundlimit", None),
        ("classic_18_funds.json", "Margin Calculator — Multi", "POST", "/margincalculator/multi",
         {"scripts": [{"exchangeSegment": "NSE_EQ", "transactionType": "BUY", "quantity": 1, "productType": "CNC",
                       "securityId": "1333", "price": 1000}]}),
        ("classic_19_traders_control.json", "Kill Switch Status", "GET", "/killswitch", None),
        ("classic_19_traders_control.json", "Get P&L Based Exit", "GET", "/pnlExit", None),
        ("classic_20_edis.json", "EDIS Status", "GET", "/edis/inquire/INE040A01034", None),
        ("classic_20_edis.json", "Generate eDIS Form", "POST", "/edis/form", {"isin": "INE040A01034"}),
        ("classic_21_portfolio.json", "Positions", "GET", "/positions", None),
    ],
)  # fmt: skip
def test_a_reply_has_the_names_of_the_documentation(
    client: Desk, page: str, heading: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    http = client.sdk.context.get_dhan_http()
    ours = data(http.get(path) if method == "GET" else http.post(path, body))
    assert differences(_documented(page, heading), ours) == []


def test_the_option_chain_has_the_documented_names(client: Desk) -> None:
    known = _documented("classic_DhanHQ_v2_API_Reference.json", "9a. Option chain")
    ours = data(client.sdk.dhan.option_chain(13, "IDX_I", str(client.market.option.key.expiry)))
    assert differences(known["data"]["oc"]["25650.000000"]["ce"], next(iter(ours["data"]["oc"].values()))["ce"]) == []
    assert set(known["data"]) == set(ours["data"])


@pytest.mark.parametrize(
    ("heading", "call"), [("Ticker", "ticker_data"), ("OHLC", "ohlc_data"), ("Market", "quote_data")]
)
def test_quotes_have_the_documented_names(client: Desk, heading: str, call: str) -> None:
    known = _documented("classic_22_market_quote.json", heading)["data"]
    quote = next(iter(next(iter(known.values())).values()))
    body = data(getattr(client.sdk.dhan, call)({"NSE_EQ": [1333]}))
    assert differences(quote, body["data"]["NSE_EQ"]["1333"]) == []


def test_an_order_alert_has_the_documented_names_in_the_sdks_letters(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = market.desk()
    updates = SdkUpdates(desk)
    known = _documented("classic_11_live_order_update.json", "Order Update message")

    def heard() -> bool:
        desk.place(desk.ask(market.share, OrderType.LIMIT))
        return bool(updates.told)

    until(heard, "update")
    capsys.readouterr()
    ours = updates.told[0]
    assert ours["Type"] == known["Type"]
    small = {name[0].lower() + name[1:]: value for name, value in known["Data"].items()}
    assert differences(small, ours["Data"]) == []


def test_the_detailed_master_has_the_columns_of_dhans(market: Market) -> None:
    samples = FIXTURES.parents[1] / "data" / "instruments"
    if not samples.is_dir():
        pytest.skip("the instrument samples do not lie beside the checkout")
    header = requests.get(f"{market.box.dhan_url}/v2/instrument/NSE_EQ", timeout=5).text.partition("\n")[0]
    for sample in samples.glob("dhan_detailed_*.csv"):
        with sample.open() as lines:
            assert lines.readline().strip().strip(",") == header


def test_a_postback_has_the_names_of_an_order(client: Desk) -> None:
    known = _documented("classic_16_postback.json", "Postback")
    known["filledQty"] = known.pop("filled_qty")  # the postback's own spelling
    row = data(client.sdk.dhan.get_order_list())[0]
    assert differences(known, row) == []
