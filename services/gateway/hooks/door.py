"""POST /hooks/v1/{source}: a program's signal becomes a SIGNAL command of the user it was registered for.

    head ─► secret ─► signature ─► time ─► pace ─► body ─► SIGNAL ─► the same handler as every command

Who shows no signature that fits learns nothing: not whether there is such a source, not what of it was wrong. Once it
fits, every answer names the field. A program that cannot sign shows its secret in the body instead, at .../plain
(`plain`); one that signs is not heard there. A signal that comes again, in the window or after, is the one that it was:
its key is in its id, and its id in Postgres.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from services.gateway.domain.body import CommandAction, ExternalCommand, RefusedCommand, read_object
from services.gateway.domain.problems import Problems
from services.gateway.handlers import CommandHandler, CommandReply, CommandVerdict
from services.gateway.hooks.pace import MinutePace
from services.gateway.hooks.plain import SECRET, TIME, PlainSignal, read_plain
from services.gateway.hooks.signing import TIMESTAMP, WINDOW_SECONDS, BadHead, read_head
from services.gateway.hooks.sources import WebhookSource, WebhookSources
from tradebus.contracts.sessions import FieldError
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers

BYTES_MAX = 16 * 1024
NOT_SIGNED = "the signature is not that of this source's secret, the timestamp, the key and the body"
NOT_SHOWN = f"the body is no JSON object with this source's secret in its field {SECRET!r}"
_NOBODY = b"there is no such source"
_AT = "data."
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HookAnswer:
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class WebhookDoor:
    def __init__(self, sources: WebhookSources, handler: CommandHandler, *, timers: Timers) -> None:
        self._sources, self._handler, self._timers = sources, handler, timers
        self._pace = MinutePace()

    async def take(self, name: str, head: Mapping[str, str], body: bytes) -> HookAnswer:
        """Raises Unavailable where Postgres or Redis does not answer; sent again, it is the same signal."""
        signed = read_head(head)
        if isinstance(signed, BadHead):
            return _refused(401, f"{signed.header} {signed.problem}")
        source = await asyncio.to_thread(self._find, name)
        secret = _NOBODY if source is None else source.secret.get_secret_value().encode()
        if not signed.fits(secret, body) or source is None or not source.signs:
            _log.warning("webhook refused: not signed by its secret", source=name[:32])
            return _refused(401, NOT_SIGNED)
        stale = _stale(TIMESTAMP, signed.age_seconds(self._timers.now_ns()), "set your clock, and sign anew")
        return stale or self._too_many(source) or await self._carried_out(_command(source, signed.key, body))

    async def take_plain(self, name: str, body: bytes) -> HookAnswer:
        """As `take`, from a program that does not sign."""
        shown = read_plain(body)
        source = await asyncio.to_thread(self._find, name)
        secret = _NOBODY if source is None or source.signs else source.secret.get_secret_value().encode()
        if shown is None or not shown.shows(secret) or source is None or source.signs:
            _log.warning("webhook refused: its secret is not shown", source=name[:32])
            return _refused(401, NOT_SHOWN)
        if shown.sent_s is not None:
            stale = _stale(TIME, shown.age_seconds(self._timers.now_ns()), "what was sent once is no signal later")
            if stale is not None:
                return stale
        return self._too_many(source) or await self._carried_out(_plain_command(source, shown))

    def _too_many(self, source: WebhookSource) -> HookAnswer | None:
        wait_seconds = self._pace.wait_seconds(
            source.name, per_minute=source.per_minute, now_ns=self._timers.monotonic_ns()
        )  # fmt: skip
        if not wait_seconds:
            return None
        said = f"{source.per_minute} a minute are taken from {source.name}: come again in {wait_seconds} s"
        return HookAnswer(429, {"detail": said}, {"Retry-After": str(wait_seconds)})

    async def _carried_out(self, command: ExternalCommand | RefusedCommand) -> HookAnswer:
        return _answer(await self._handler.carry_out(command))

    def _find(self, name: str) -> WebhookSource | None:
        try:
            return self._sources.find(name)
        except InvalidInput as error:
            _log.error("webhook refused: its secret cannot be opened", source=name[:32], problem=str(error))
            return None


def _command(source: WebhookSource, key: str, body: bytes) -> ExternalCommand | RefusedCommand:
    problems = Problems()
    fields = read_object(body, problems)
    return _signal(source, key, fields, problems.errors)


def _plain_command(source: WebhookSource, shown: PlainSignal) -> ExternalCommand | RefusedCommand:
    return _signal(source, shown.key, shown.fields, shown.errors)


def _signal(
    source: WebhookSource, key: str, fields: dict[str, Any] | None, errors: tuple[FieldError, ...]
) -> ExternalCommand | RefusedCommand:
    if fields is not None and "source" in fields:
        errors = (*errors, FieldError(field="source", problem="is said by the address, not by the body"))
    if fields is None or errors:
        return RefusedCommand(errors, CommandAction.SIGNAL, source.user_id, key)
    return ExternalCommand(CommandAction.SIGNAL, source.user_id, {**fields, "source": source.name}, key)


def _stale(what: str, age_seconds: int, remedy: str) -> HookAnswer | None:
    if abs(age_seconds) <= WINDOW_SECONDS:
        return None
    way = "behind" if age_seconds > 0 else "ahead of"
    return _refused(
        401, f"{what} is {abs(age_seconds)} s {way} the clock here, at most {WINDOW_SECONDS} are taken: {remedy}"
    )  # fmt: skip


def _answer(reply: CommandReply) -> HookAnswer:
    status = {CommandVerdict.ACCEPTED: 202, CommandVerdict.REPEATED: 200, CommandVerdict.REJECTED: 422}[reply.verdict]
    body: dict[str, Any] = {"status": reply.verdict.value, "key": reply.command_id}
    if reply.errors:
        body["errors"] = [{"field": one.field.removeprefix(_AT), "problem": one.problem} for one in reply.errors]
    else:
        body |= {"session_id": reply.session_id, "signal_id": reply.signal_id, "pos_id": reply.pos_id}
    return HookAnswer(status, body)


def _refused(status: int, detail: str) -> HookAnswer:
    return HookAnswer(
        status, {"detail": detail}, {"WWW-Authenticate": "Tradebus-Signature", "Cache-Control": "no-store"}
    )
