"""What a name in a source file stands for, however it was imported: `wait` may well be `asyncio.sleep`.

    from asyncio import sleep as wait      wait                            asyncio.sleep
    from tradebus.kernel import clock      clock.monotonic_ns              tradebus.kernel.clock.monotonic_ns
    loop = asyncio.get_running_loop()      loop.time                       asyncio.get_running_loop().time

Scopes are not told apart: a name that is bound to something imported anywhere in the file stands for it everywhere.
"""

import ast
from collections.abc import Iterator


class SourceNames:
    """The imports of one file, and what was given a further name by an assignment or as a default."""

    def __init__(self, module: ast.Module) -> None:
        self.module = module
        self.imported: list[tuple[int, str]] = []  # line and dotted path of all that is imported
        self._means: dict[str, str] = {}
        self._origins: set[str] = set()
        self._attributes: set[str] = set()  # those that were given such a path
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                for name in node.names:
                    first = name.name.partition(".")[0]
                    self._bind(name.asname or first, name.name if name.asname else first)
                    self.imported.append((node.lineno, name.name))
            elif isinstance(node, ast.ImportFrom):
                for name in node.names:
                    path = f"{node.module or '.'}.{name.name}"
                    self._bind(name.asname or name.name, path)
                    self.imported.append((node.lineno, path))
        for _ in range(2):  # a name of a name
            for node in ast.walk(module):
                if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    self._assigned(node.targets if isinstance(node, ast.Assign) else [node.target], node.value)
                elif isinstance(node, ast.arguments):
                    positional = [*node.posonlyargs, *node.args]
                    for one, value in [
                        *zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True),
                        *zip(node.kwonlyargs, node.kw_defaults, strict=True),
                    ]:
                        if value is not None:
                            self._assigned([ast.Name(one.arg)], value)

    def _bind(self, name: str, path: str) -> None:
        self._means[name] = path
        self._origins.add(path.partition(".")[0])

    def _assigned(self, targets: list[ast.expr], value: ast.expr) -> None:
        path = self.path(value)
        if path.partition(".")[0] in self._origins and "." in path:
            for target in targets:
                if isinstance(target, ast.Attribute):
                    self._attributes.add(target.attr)
                if isinstance(target, ast.Name | ast.Attribute):
                    self._means.setdefault(ast.unparse(target), path)

    def path(self, node: ast.AST) -> str:
        """The dotted path of a name, an attribute or a call (`…()`); "" for what has none."""
        if isinstance(node, ast.Name):
            return self._means.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            known = self._means.get(ast.unparse(node)) if node.attr in self._attributes else None
            return known if known is not None else f"{self.path(node.value)}.{node.attr}"
        if isinstance(node, ast.Call):
            return f"{self.path(node.func)}()"
        return self.path(node.value) if isinstance(node, ast.Await) else ""

    def read(self) -> Iterator[tuple[ast.Name | ast.Attribute, str]]:
        """Every name and attribute that is read, with its path; of `a.b.c` the whole only."""
        inner = {id(node.value) for node in ast.walk(self.module) if isinstance(node, ast.Attribute)}
        for node in ast.walk(self.module):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in inner:
                yield node, self.path(node)
