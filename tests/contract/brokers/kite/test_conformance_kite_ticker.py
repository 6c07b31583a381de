"""The official KiteTicker itself, on its own reactor in a process of its own (a reactor cannot be started twice)."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testkit.kite_desk import FUTURE, OPTION, SHARE, KiteDesk
from testkit.kite_hands import API_KEY

from tradebus.contracts.orders import OrderType

INDEX = "NSE:NIFTY 50"
SECONDS = 30.0
CLIENT = """
import json, sys
from kiteconnect import KiteTicker

root, api_key, access_token, tokens = sys.argv[1], sys.argv[2], sys.stdin.readline().strip(), json.loads(sys.argv[3])
ticker = KiteTicker(api_key, access_token, root=root, reconnect_max_tries=1)

def say(kind, value):
    print(json.dumps({"kind": kind, "value": value}, default=str), flush=True)

def on_connect(ws, response):
    ws.subscribe(tokens)
    ws.set_mode(ws.MODE_FULL, tokens)

def on_order_update(ws, data):
    say("order", data)
    ws.stop()

def on_close(ws, code, reason):
    say("close", reason)
    ws.stop_retry()
    ws.stop()

ticker.on_connect, ticker.on_order_update, ticker.on_close = on_connect, on_order_update, on_close
ticker.on_ticks = lambda ws, ticks: say("ticks", ticks)
ticker.on_error = lambda ws, code, reason: say("error", [code, reason])
ticker.connect()
"""


class OfficialTicker:
    """The client in its process. Its token comes by its standard input: a process list shows arguments."""

    def __init__(self, desk: KiteDesk, token: str, tokens: list[int]) -> None:
        root = desk.url.replace("http", "ws")
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, root, API_KEY, json.dumps(tokens)], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        assert self.process.stdin is not None
        self.process.stdin.write(f"{token}\n")
        self.process.stdin.flush()

    def says(self, kind: str) -> Any:
        """What it says next of this kind."""
        while True:
            said = self._said.get(timeout=SECONDS)
            if said["kind"] == kind:
                return said["value"]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
        self._listener.join(SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self._said.put(json.loads(line))


@contextmanager
def official_ticker(desk: KiteDesk, token: str, tokens: list[int]) -> Iterator[OfficialTicker]:
    ticker = OfficialTicker(desk, token, tokens)
    try:
        yield ticker
    finally:
        ticker.end()


def test_the_official_ticker_gets_ticks_in_full_mode_and_an_order_update(desk: KiteDesk) -> None:
    tokens = {desk.instrument(what).kite_token: what for what in (SHARE, FUTURE, OPTION, INDEX)}
    latest: dict[int, dict[str, Any]] = {}
    with official_ticker(desk, desk.token, list(tokens)) as ticker:
        while {tick["mode"] for tick in latest.values()} != {"full"} or set(latest) != set(tokens):
            latest |= {tick["instrument_token"]: tick for tick in ticker.says("ticks")}
        market = {token: desk.quote(what) for token, what in tokens.items()}
        ask = desk.ask(SHARE, OrderType.MARKET)
        outcome = desk.sdk.place(ask)
        update = ticker.says("order")
        assert ticker.process.wait(SECONDS) == 0
    assert (update["order_id"], update["status"], update["tag"]) == (outcome.broker_order_id, "COMPLETE", ask.tag)
    for token, what in tokens.items():
        tick, quote = latest[token], market[token]
        assert round(tick["last_price"] * 100) == quote["price_paise"]
        assert round(tick["ohlc"]["close"] * 100) == quote["previous_close_paise"]
        if what != INDEX:
            assert [round(level["price"] * 100) for level in tick["depth"]["buy"]] == quote["bid_paise"].tolist()
            assert (tick["volume_traded"], tick["oi"]) == (quote["volume_cumulative"], quote["open_interest"])


def test_the_official_ticker_is_told_403_for_a_token_that_is_not_valid(desk: KiteDesk) -> None:
    with official_ticker(desk, "nonsense", [1]) as ticker:
        assert "403" in ticker.says("error")[1]  # it would go on trying: a fault of its own
