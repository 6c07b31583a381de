"""What is wrong with a file of rules, in one line: every problem with its line, unknown fields first, for they are what
the missing ones were meant to be."""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tradebus.calendar.located_json import Path, line_of
from tradebus.kernel.errors import nearest

_SHOWN_MAX = 20
_LIKENESS = 0.6  # the fields' names are short
_UNKNOWN = "extra_forbidden"
_WORDS = {
    "missing": "is missing",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "string_type": "must be text in quotes",
}


def rules_refusal(error: ValidationError, model: type[BaseModel], lines: dict[Path, int], *, name: str) -> str:
    """`lines` has the line of each value of the file `name` by its path."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    placed = [(one, _written_at(one["loc"], lines)) for one in problems]
    placed.sort(key=lambda one: (one[0]["type"] != _UNKNOWN, line_of(lines, one[1])))
    said = list(dict.fromkeys(
        f"line {line_of(lines, place)}: {'.'.join(str(part) for part in place)}: {_words(one, model)}"
        for one, place in placed
    ))  # fmt: skip
    more = f" ({len(said) - _SHOWN_MAX} more)" if len(said) > _SHOWN_MAX else ""
    return f"{name}, {'; '.join(said[:_SHOWN_MAX])}{more}"


def _written_at(loc: Path, lines: dict[Path, int]) -> Path:
    """A field of a row may stand in the file once, for all its rows."""
    of_all = loc[-1:]
    return of_all if loc not in lines and of_all in lines else loc


def _words(problem: ErrorDetails, model: type[BaseModel]) -> str:
    loc = problem["loc"]
    if problem["type"] != _UNKNOWN:
        return _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    known = _fields_at(model, loc[:-1])
    near = nearest(str(loc[-1]), known, likeness=_LIKENESS)
    return f"nothing is called so here{near or '; known are ' + ', '.join(sorted(known))}"


def _fields_at(model: type[BaseModel], loc: Path) -> list[str]:
    """What the object at `loc` may hold, as a file names it."""
    for part in loc:
        if isinstance(part, str):
            field = next(one for name, one in model.model_fields.items() if part in (name, one.alias))
            model = _model_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found: Sequence[type[BaseModel] | None] = [_model_in(one) for one in get_args(annotation)]
    return next((one for one in found if one is not None), None)
