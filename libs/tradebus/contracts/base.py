"""The envelope every sparse message shares."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import utc_iso


class Model(BaseModel):
    """Frozen, and strict about names: an unknown field is an error, never ignored. No number is NaN or infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False, allow_inf_nan=False)


class GrownModel(Model):
    """A part of messages that got fields after the messages were first written. As in `Message`, what is not there is
    left out, so that a part which says nothing of them is what it always was."""

    ADDED: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        fields = write(self)
        for name in self.ADDED:
            if getattr(self, name) is None:
                fields.pop(name, None)
        return fields


class Message(Model):
    """What is true of every message. `TYPE` names it on the wire; commands are verbs, events past tense.

    `event_id` derives from its cause, so publishing again is harmless. `trace_id` is the id of the market event or
    command that began the chain, `causation_id` the message that led directly to this one, `group_id` the legs that
    are one idea: it is there only where there is such a group.
    """

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1
    # Fields that came after the version's first messages. Where they do not apply they are left out, so that a message
    # which says nothing of them is what it always was.
    ADDED: ClassVar[tuple[str, ...]] = ("group_id",)

    event_id: str
    ts_event_ns: int = Field(ge=0)
    ts_recorded_ns: int = Field(ge=0)
    source: str
    trace_id: str
    causation_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    pos_id: str | None = None
    database_id: int | None = None
    group_id: str | None = None

    def to_json(self) -> bytes:
        """The wire form: `type` and `schema_version`, then every field. What does not apply is null, never left out
        (but for ADDED): a limit that is switched off must not come back as the default it replaced."""
        return b'{"type":"%s","schema_version":%d,%s' % (
            self.TYPE.encode(), self.VERSION, self.model_dump_json(exclude=self._left_out()).encode()[1:],
        )  # fmt: skip

    def public(self) -> dict[str, Any]:
        """The form outside consumers read: the wire form with the event time spelled out in UTC."""
        return {
            "type": self.TYPE,
            "schema_version": self.VERSION,
            "time_utc": utc_iso(self.ts_event_ns),
            **self.model_dump(mode="json", exclude=self._left_out()),
        }

    def _left_out(self) -> set[str]:
        return {name for name in self.ADDED if getattr(self, name) is None}


def event_id_for(message_type: str, ts_event_ns: int, *cause: str | int) -> str:
    """The id of the one event of this type with this cause."""
    return derive_id(ts_event_ns, message_type, *cause)
