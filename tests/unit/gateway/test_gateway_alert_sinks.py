"""What leaves for a sink, what is said where it does not take it, and that nothing of its secrets is said."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.alerts.sinks import NotTold, open_sink
from services.gateway.alerts.stored import AlertSinkConfig, AlertSinks, read_sink
from tradebus.kernel.errors import InvalidInput

SECRET = "s3cr3t-T0K3N-0123456789abcdef"
WEBHOOK = {"kind": "webhook", "url": f"https://hooks.example/{SECRET}", "header": "X-Key", "header_value": SECRET}
TELEGRAM = {"kind": "telegram", "token": f"123:{SECRET}", "chat_id": "-100"}
EMAIL = {"kind": "email", "host": "127.0.0.1", "sender": "bot@example.org", "to": "me@example.org", "security": "none"}


def config(content: dict[str, str]) -> AlertSinkConfig:
    return read_sink("phone", content, number="1", at="--file x")


async def sent(content: dict[str, str]) -> httpx.Request:
    asked = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(204)

    sink = open_sink(config(content), transport=httpx.MockTransport(answer))
    await sink.tell("a line", [{"event_id": "e1", "type": "KILL_SWITCH"}])
    await sink.close()
    (request,) = asked
    return request


async def test_a_webhook_gets_the_text_and_the_events_themselves() -> None:
    request = await sent(WEBHOOK)
    assert (str(request.url), request.headers["X-Key"]) == (WEBHOOK["url"], SECRET)
    assert json.loads(request.content) == {"text": "a line", "alerts": [{"event_id": "e1", "type": "KILL_SWITCH"}]}


async def test_a_chat_gets_the_text() -> None:
    request = await sent(TELEGRAM)
    assert str(request.url) == f"https://api.telegram.org/bot123:{SECRET}/sendMessage"
    assert json.loads(request.content)["text"] == "a line"
    assert json.loads(request.content)["chat_id"] == "-100"


class MailServer:
    """Speaks as little SMTP as a message needs; says `end` to what it is sent."""

    def __init__(self, end: str) -> None:
        self.end, self.mail = end, ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                while (part := await reader.readline()) != b".\r\n":
                    self.mail += part.decode()
                writer.write(f"{self.end}\r\n".encode())
            else:
                writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 yes\r\n")
            await writer.drain()
        writer.close()


@pytest.mark.parametrize(("end", "taken"), [("250 taken", True), (f"554 no {SECRET}", False)])
async def test_a_mail_is_sent_and_its_refusal_is_told(end: str, taken: bool) -> None:
    server = MailServer(end)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    sink = open_sink(config({**EMAIL, "port": str(port)}))
    if taken:
        await sink.tell("a line\nanother", [{}, {}])
        assert "Subject: tradebus: 2 alerts" in server.mail
        assert "a line\nanother" in server.mail.replace("\r\n", "\n")
    else:
        with pytest.raises(NotTold, match="not sent") as refused:
            await sink.tell("a line", [{}])
        assert SECRET not in str(refused.value)
    await sink.close()
    listening.close()


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING):
        yield caplog


@pytest.mark.parametrize("content", [WEBHOOK, TELEGRAM])
async def test_what_was_not_taken_is_said_without_a_secret(
    content: dict[str, str], heard: pytest.LogCaptureFixture
) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, text=f"bad token {SECRET}")

    def vanish(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url}")

    for answer, says in ((refuse, "answered 401"), (vanish, r"no answer \(ConnectError\)")):
        sink = open_sink(config(content), transport=httpx.MockTransport(answer))
        with pytest.raises(NotTold, match=says) as refused:
            await sink.tell("a line", [])
        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None
        await sink.close()
    assert SECRET not in heard.text


def test_a_sink_is_kept_as_it_was_given_and_nothing_of_it_can_be_read(tmp_path: Path) -> None:
    sinks = AlertSinks(tmp_path, key=None)
    sinks.put(config(TELEGRAM))
    assert (sinks.get("phone"), sinks.names()) == (config(TELEGRAM), ["phone"])
    file = tmp_path / "alerts" / "phone"
    assert SECRET.encode() not in file.read_bytes()
    assert SECRET not in repr(config(TELEGRAM))
    file.write_bytes(b"altered")
    with pytest.raises(InvalidInput, match="alert sink 'phone' cannot be opened"):
        sinks.get("phone")
    with pytest.raises(InvalidInput, match="is no name"):
        sinks.put(read_sink("../phone", TELEGRAM, number="1", at="x"))


BAD: list[tuple[Any, str]] = [
    ([], "must be a JSON object"),
    ({"kind": "pigeon"}, "kind: must be one of webhook, telegram, email"),
    ({"kind": "webhook"}, "url: is missing"),
    ({"kind": "webhook", "url": f"ftp://{SECRET}"}, "url: must be an address"),
    ({**WEBHOOK, "header_value": None}, "header_value: must be text"),
    ({"kind": "telegram", "token": SECRET, "chat_id": -100}, "chat_id: must be text in quotes"),
    ({"kind": "telegram", "tokn": SECRET, "chat_id": "1"}, "did you mean 'token'"),
    ({**TELEGRAM, SECRET: "x"}, "(hidden): unknown field"),
    ({**EMAIL, "port": "99999"}, "port: must be a port"),
    ({**EMAIL, "security": "ssl"}, "security: must be one of starttls, tls, none"),
    ({**EMAIL, "user": "me"}, "user and password"),
]


@pytest.mark.parametrize(("content", "says"), BAD)
def test_a_bad_sink_names_the_field_and_shows_no_value(content: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_sink("phone", content, number="1", at="--file x")
    assert says in str(refused.value)
    assert str(refused.value).startswith("--file x: ")
    assert SECRET not in str(refused.value)
