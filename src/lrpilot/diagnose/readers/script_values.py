"""What a training script's names stand for, as far as its text alone tells. Nothing is run.

Followed are literals, arithmetic on them, names with one value, `argparse` defaults, defaults of
parameters and of dataclass fields, and entries of literal dictionaries. All else is `UNKNOWN`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from lrpilot.diagnose.readers.bounded import number


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Unknown()
_DEEPEST = 20  # steps of following one name to the next
_LARGEST = 1e18
_MOST_LOOKUPS = 500_000  # of one script; names can be made to refer to each other forever
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Pow: operator.pow,
    ast.Mod: operator.mod,
}  # fmt: skip


class Names:
    """The values of names, attributes and dictionary entries of one script."""

    def __init__(self, tree: ast.Module) -> None:
        self._left = _MOST_LOOKUPS
        self._names: dict[str, list[ast.expr | None]] = {}
        self._attributes: dict[str, list[ast.expr | None]] = {}
        self.modules: dict[str, str] = {}
        self._given: dict[tuple[str, str], list[ast.expr]] = {}
        for node in ast.walk(tree):
            self._look(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                self._class(node)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            elif node.name != "__init__":
                self._parameters(node, node.name)

    # -- gathering --------------------------------------------------------------------------

    def _look(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    self.modules[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self.modules[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, node.value)
        elif isinstance(node, ast.AugAssign | ast.For | ast.AsyncFor):
            self._assign(node.target, None)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._assign(node.optional_vars, None)
        elif isinstance(node, ast.Call):
            self._call(node)

    def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self._names.setdefault(target.id, []).append(value)
        elif isinstance(target, ast.Attribute):
            self._attributes.setdefault(target.attr, []).append(value)
        elif isinstance(target, ast.Tuple | ast.List):
            paired = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            values = value.elts if paired and isinstance(value, ast.Tuple | ast.List) else None
            for i, inner in enumerate(target.elts):
                self._assign(inner, values[i] if values is not None else None)

    def _call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name == "add_argument" and node.args:
            self._argument(node)
        for keyword in node.keywords:
            if keyword.arg is not None:
                self._given.setdefault((name, keyword.arg), []).append(keyword.value)

    def _argument(self, node: ast.Call) -> None:
        """`add_argument("--learning-rate", default=...)`."""
        flags = [a.value for a in node.args if isinstance(a, ast.Constant)]
        long = [f for f in flags if isinstance(f, str) and f.startswith("--")] or flags
        keywords = {k.arg: k.value for k in node.keywords if k.arg}
        dest = keywords.get("dest")
        name = dest.value if isinstance(dest, ast.Constant) else long[0] if long else ""
        if isinstance(name, str) and name:
            plain = name.lstrip("-").replace("-", "_")
            self._attributes.setdefault(plain, []).append(keywords.get("default"))

    def _class(self, node: ast.ClassDef) -> None:
        for inner in node.body:
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                given = self._given.get((node.name, inner.target.id))
                values = list(given) if given else [_field_default(inner.value)]
                self._attributes.setdefault(inner.target.id, []).extend(values)
            elif isinstance(inner, ast.Assign):
                for target in inner.targets:
                    if isinstance(target, ast.Name):
                        self._attributes.setdefault(target.id, []).append(inner.value)
            elif isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                self._parameters(inner, node.name)

    def _parameters(self, node: ast.FunctionDef | ast.AsyncFunctionDef, called: str) -> None:
        """Defaults of parameters, unless the script calls with other values."""
        listed = [*node.args.posonlyargs, *node.args.args]
        defaults: list[ast.expr | None] = [None] * (len(listed) - len(node.args.defaults))
        pairs = [*zip(listed, [*defaults, *node.args.defaults], strict=True)]
        pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        for parameter, default in pairs:
            given = self._given.get((called, parameter.arg), [])
            values: list[ast.expr | None] = [*given] if given else [default]
            self._names.setdefault(parameter.arg, []).extend(values)
            if node.name == "__init__":
                self._attributes.setdefault(parameter.arg, []).extend(values)

    # -- asking -----------------------------------------------------------------------------

    def value(self, node: ast.expr | None, depth: int = 0) -> Any:
        """What an expression comes to, or `UNKNOWN`."""
        self._left -= 1
        if node is None or depth > _DEEPEST or self._left < 0:
            return UNKNOWN
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._one_of(self._names.get(node.id), depth)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, depth)
        if isinstance(node, ast.UnaryOp):
            return _unary(node.op, self.value(node.operand, depth + 1))
        if isinstance(node, ast.BinOp):
            left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
            return _binary(_OPERATORS.get(type(node.op)), left, right)
        if isinstance(node, ast.Subscript):
            return self._entry(node.value, node.slice, depth)
        if isinstance(node, ast.Call):
            return self._simple_call(node, depth)
        return UNKNOWN

    def expression(self, node: ast.expr | None, depth: int = 0) -> ast.expr | None:
        """The expression that a name was assigned, where there is just one; else itself."""
        if isinstance(node, ast.Name) and depth < _DEEPEST:
            found = self._names.get(node.id, [])
            if len(found) == 1 and found[0] is not None:
                return self.expression(found[0], depth + 1)
        return node

    def dotted(self, node: ast.expr) -> str:
        """A callee's full name, its import followed: "torch.optim.AdamW"; "" where it is none."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ".".join(["", *reversed(parts)])
        return ".".join([self.modules.get(node.id, node.id), *reversed(parts)])

    def _one_of(self, nodes: list[ast.expr | None] | None, depth: int) -> Any:
        """The value of a name whose assignments all agree."""
        if not nodes or len(nodes) > 20:
            return UNKNOWN
        values = [self.value(n, depth + 1 + len(nodes) // 2) for n in nodes]
        first = values[0]
        same = all(type(v) is type(first) and v == first for v in values)
        return first if same else UNKNOWN

    def _attribute(self, node: ast.Attribute, depth: int) -> Any:
        nodes = self._attributes.get(node.attr)
        own = [n for n in nodes or () if not _refers_to(n, node.attr)]
        if own:
            return self._one_of(own, depth)
        return self._entry(node.value, ast.Constant(node.attr), depth)

    def _entry(self, owner: ast.expr, key: ast.expr, depth: int) -> Any:
        """`config["lr"]` of a literal dictionary."""
        wanted, found = self.value(key, depth + 1), self.expression(owner)
        if isinstance(found, ast.Subscript | ast.Attribute):
            return UNKNOWN
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name):
            if found.func.id == "dict":
                entries = {k.arg: k.value for k in found.keywords if k.arg}
                return self.value(entries.get(wanted), depth + 1)
            return UNKNOWN
        if not isinstance(found, ast.Dict):
            return UNKNOWN
        for name, value in zip(found.keys, found.values, strict=True):
            if isinstance(name, ast.Constant) and name.value == wanted:
                return self.value(value, depth + 1)
        return UNKNOWN

    def _simple_call(self, node: ast.Call, depth: int) -> Any:
        """`float("2e-5")`, `int(1e3)` and `config.get("lr", 2e-5)`."""
        if isinstance(node.func, ast.Name) and node.func.id in ("float", "int") and node.args:
            found = number(self.value(node.args[0], depth + 1))
            if found is None or abs(found) > _LARGEST:
                return UNKNOWN
            return int(found) if node.func.id == "int" and found == found else found
        if isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
            found = self._entry(node.func.value, node.args[0], depth + 1)
            if found is UNKNOWN and len(node.args) > 1:
                is_known = isinstance(self.expression(node.func.value), ast.Dict)
                return self.value(node.args[1], depth + 1) if is_known else UNKNOWN
            return found
        return UNKNOWN


def _refers_to(node: ast.expr | None, name: str) -> bool:
    """`self.lr = lr` only passes on what `lr` is; the parameter's own default is known."""
    return isinstance(node, ast.Name) and node.id == name


def _field_default(node: ast.expr | None) -> ast.expr | None:
    """`field(default=...)` of a dataclass."""
    if isinstance(node, ast.Call):
        return next((k.value for k in node.keywords if k.arg == "default"), None)
    return node


def _unary(op: ast.unaryop, value: Any) -> Any:
    if isinstance(op, ast.Not):
        return UNKNOWN if value is UNKNOWN else not value
    if isinstance(value, int | float) and isinstance(op, ast.USub | ast.UAdd):
        return -value if isinstance(op, ast.USub) else value
    return UNKNOWN


def _binary(op: Callable[[Any, Any], Any] | None, left: Any, right: Any) -> Any:
    """Arithmetic on numbers of a sane size."""
    for side in (left, right):
        if isinstance(side, bool) or not isinstance(side, int | float) or abs(side) > _LARGEST:
            return UNKNOWN
    if op is None or (op is operator.pow and abs(right) > 100):
        return UNKNOWN
    try:
        found = op(left, right)
    except (ArithmeticError, ValueError):
        return UNKNOWN
    return found if isinstance(found, int | float) and abs(found) <= _LARGEST else UNKNOWN
