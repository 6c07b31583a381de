"""A `requests` session whose every request goes through the wire."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tradebus.brokers.audit.wire import AuditedWire


class RecordingAdapter(HTTPAdapter):
    """What a `requests` session sends through."""

    def __init__(self, wire: AuditedWire) -> None:
        self._wire = wire
        super().__init__()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        leaving = self._wire.leaving(request.method or "", request.url or "", request.body)
        try:
            response = super().send(
                request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies
            )  # fmt: skip
        except BaseException as error:
            leaving.ended(f"{type(error).__name__}: {error}")
            raise
        response.raw = leaving.answering(response.raw, response.status_code)
        return response


def record_session(session: requests.Session, wire: AuditedWire) -> None:
    """Everything that the session sends from now on goes through the wire."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, RecordingAdapter(wire))
