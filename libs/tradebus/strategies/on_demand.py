"""Classes by name, each imported when it is first asked for.

A built-in strategy brings compiled kernels: 0.3 s and 90 MB of a process that may only want to know its name.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Generic, TypeVar

T = TypeVar("T")


class ClassesOnDemand(MutableMapping[str, type[T]], Generic[T]):
    """`places` are "module:Class" by name; a class may be put beside them."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._classes: dict[str, str | type[T]] = dict(places)

    def __getitem__(self, name: str) -> type[T]:
        found = self._classes[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = self._classes[name] = getattr(import_module(module), attribute)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __setitem__(self, name: str, cls: type[T]) -> None:
        self._classes[name] = cls

    def __delitem__(self, name: str) -> None:
        del self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)
