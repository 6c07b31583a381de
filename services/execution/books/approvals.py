"""What can be read of an approval, also of one that is no message of this version any more."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import ExitApproved

_IDS = re.compile(rb'"(event_id|intent_id)":\s?"([\x20\x21\x23-\x5b\x5d-\x7e]{1,200})"')


@dataclass(frozen=True, slots=True)
class ApprovalFields:
    """The fields as they stand on the bus or in the book; nothing is known of their types."""

    fields: Mapping[str, Any]

    @classmethod
    def of(cls, message: Message) -> "ApprovalFields":
        return cls({"type": message.TYPE, **message.model_dump(mode="json", exclude_none=True)})

    @property
    def event_id(self) -> str:
        """Empty where there is none that can be read."""
        return self._text("event_id")

    @property
    def intent_id(self) -> str:
        return self._text("intent_id")

    @property
    def pos_id(self) -> str:
        return self._text("pos_id")

    @property
    def session_id(self) -> str:
        return self._text("session_id")

    @property
    def is_exit(self) -> bool:
        return self._text("type") == ExitApproved.TYPE

    @property
    def names_any(self) -> bool:
        """Whether it can be told which approval it is."""
        return bool(self.event_id or self.intent_id)

    def is_same(self, other: "ApprovalFields") -> bool:
        """Whether both are of one approval."""
        if self.intent_id and other.intent_id:
            return self.intent_id == other.intent_id
        return bool(self.event_id) and self.event_id == other.event_id

    def _text(self, name: str) -> str:
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class UntakenApproval:
    """An approval that the book has without an answer. It is read as a message only where somebody wants that: most of
    them are on their way, and taken by the next look."""

    approval: ApprovalFields

    @property
    def message(self) -> Message | None:
        """None where this version cannot read it, and `problem` says why."""
        return self._read[0]

    @property
    def problem(self) -> str:
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[Message | None, str]:
        try:
            return parse(json.dumps(self.approval.fields).encode()), ""
        except ValueError as error:
            return None, str(error)


def untaken_of(body: Mapping[str, Any]) -> UntakenApproval:
    """The approval that the book has as `body`."""
    return UntakenApproval(ApprovalFields(body))


def approval_in(body: bytes) -> ApprovalFields:
    """What can be read of an entry's body. Of one that is no JSON object, at most which approval it is."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        fields = {name.decode(): value.decode() for name, value in _IDS.findall(body)}
    return ApprovalFields(fields)
