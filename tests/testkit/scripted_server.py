"""A broker's REST address played by hand: one scripted reply per request, and what was asked."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

JSON, HTML, CSV = "application/json", "text/html", "text/csv"


@dataclass
class Reply:
    """`body` may be anything that JSON holds, or bytes as they are. `cut` closes the connection after so many bytes,
    `drip_seconds` is waited between each byte."""

    body: Any = None
    status: int = 200
    content_type: str | None = JSON
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip_seconds: float = 0.0

    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def success(data: Any, **more: Any) -> Reply:
    return Reply({"status": "success", "data": data, **more})


@dataclass
class Asked:
    """`path` without its escapes."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body).items()}


class ScriptedServer:
    """`replies` by "METHOD /path", the last of a list again and again; `otherwise` for the rest."""

    def __init__(self, otherwise: Callable[[Asked], Reply]) -> None:
        self.replies: dict[str, Reply | list[Reply]] = {}
        self.otherwise = otherwise
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def calls(self, method: str, path: str) -> list[Asked]:
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        reply = self.replies.get(f"{asked.method} {asked.path}")
        if isinstance(reply, list):
            return reply.pop(0) if len(reply) > 1 else reply[0]
        return reply if reply is not None else self.otherwise(asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # a reply leaves in one piece: two would wait for each other's acknowledgement

        def do(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            reply = server.answer(
                Asked(self.command, unquote(parts.path), parse_qs(parts.query), body, dict(self.headers))
            )
            sent = reply.bytes()
            self.send_response(reply.status)
            if reply.content_type is not None:
                self.send_header("Content-Type", reply.content_type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self._send(sent if reply.cut is None else sent[: reply.cut], reply.drip_seconds)
            if reply.cut is not None:
                self.close_connection = True

        def _send(self, sent: bytes, drip_seconds: float) -> None:
            if not drip_seconds:
                self.wfile.write(sent)
                return
            try:
                for place in range(len(sent)):
                    self.wfile.write(sent[place : place + 1])
                    self.wfile.flush()
                    time.sleep(drip_seconds)  # what drips
            except OSError:  # the other side had enough
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = do

        def log_message(self, format: str, *args: Any) -> None:
            return None

    return Handler
