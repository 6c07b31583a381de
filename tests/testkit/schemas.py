"""Values that a JSON Schema allows, as hypothesis strategies. Knows the words that pydantic uses for our models."""

from typing import Any

from hypothesis import strategies as st

_LARGEST = 2**63 - 1
_anything = st.recursive(
    st.none() | st.booleans() | st.integers(-_LARGEST, _LARGEST) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def allowed(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value the schema allows; `definitions` resolves its references."""
    if "$ref" in schema:
        return allowed(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([allowed(one, definitions) for one in schema["anyOf"]])
    return _BY_TYPE[schema["type"]](schema, definitions)


def _object(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        return st.dictionaries(st.text(max_size=8), _anything, max_size=3)
    made = {name: allowed(one, definitions) for name, one in schema["properties"].items()}
    required = schema.get("required", [])
    return st.fixed_dictionaries(
        {name: one for name, one in made.items() if name in required},
        optional={name: one for name, one in made.items() if name not in required},
    )


def _array(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    items = allowed(schema["items"], definitions)
    return st.lists(items, min_size=schema.get("minItems", 0), max_size=schema.get("minItems", 0) + 2)


def _integer(schema: dict[str, Any], _: dict[str, Any]) -> st.SearchStrategy[Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -_LARGEST - 1) + 1)
    return st.integers(low, schema.get("maximum", _LARGEST))


def _number(schema: dict[str, Any], _: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.floats(
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum"),
        exclude_min="exclusiveMinimum" in schema,
        allow_nan=False,
        allow_infinity=False,
    )


def _string(schema: dict[str, Any], _: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else st.text(max_size=20)


_BY_TYPE = {
    "object": _object,
    "array": _array,
    "integer": _integer,
    "number": _number,
    "string": _string,
    "boolean": lambda _, __: st.booleans(),
    "null": lambda _, __: st.none(),
}
