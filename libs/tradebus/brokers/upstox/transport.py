"""What goes over the wire for the SDK: urllib3 with the holes closed that the SDK leaves open.

The SDK's own pool tries again by itself (a modification twice, a cancellation twice), follows redirects (an order to
another host), reads bodies of any size and waits on one that drips for as long as it drips. This one does none of that,
and sends each path only to the host that the settings name for it.
"""

from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3

from tradebus.brokers.audit.wire import AuditedWire
from tradebus.brokers.common.access.addresses import shown
from tradebus.brokers.common.replies.bodies import whole_body
from tradebus.brokers.upstox.settings import BROKER, UpstoxEndpoints
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput

REPLY_BYTES_MAX = 64 * 1024 * 1024
_ORDER_WORDS = ("/order/place", "/order/modify", "/order/cancel")


class GuardedPool(urllib3.PoolManager):
    """TLS verified, one attempt, no redirect, whole and bounded bodies, hosts as in `endpoints`."""

    def __init__(
        self, endpoints: UpstoxEndpoints, *, wire: AuditedWire, connect_seconds: float, request_seconds: float
    ) -> None:
        super().__init__(num_pools=4, maxsize=8, cert_reqs="CERT_REQUIRED", ca_certs=certifi.where())
        self._endpoints, self._wire, self._request_seconds = endpoints, wire, request_seconds
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=request_seconds)

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **kw: Any
    ) -> Any:
        """Raises InvalidInput, with nothing sent, for an address that is not Upstox's as the settings have it."""
        del redirect
        self._check(url)
        kw |= {"retries": False, "preload_content": False, "timeout": kw.get("timeout") or self._timeout}
        started_ns = monotonic_ns()
        leaving = self._wire.leaving(method, url, kw.get("body"))
        try:
            response = super().urlopen(method, url, redirect=False, **kw)
        except BaseException as error:
            leaving.ended(f"{type(error).__name__}: {error}")
            raise
        try:
            body = whole_body(
                leaving.answering(response, response.status), broker=BROKER, started_ns=started_ns,
                seconds_max=self._request_seconds, bytes_max=REPLY_BYTES_MAX,
            )  # fmt: skip
        except BaseException as error:
            leaving.ended(f"{type(error).__name__}: {error}")
            response.close()
            raise
        response.release_conn()
        return urllib3.HTTPResponse(body, headers=response.headers, status=response.status, reason=response.reason)

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if any(word in parts.path for word in _ORDER_WORDS):
            allowed = [self._endpoints.orders]
        else:
            allowed = [self._endpoints.rest, "://".join(urlsplit(self._endpoints.instruments)[:2])]
        if origin not in allowed:
            raise InvalidInput(f"upstox: {shown(url)} is not at {allowed[0]}; nothing is sent")
