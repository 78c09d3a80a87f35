"""One rendering of a checked template, within a cap of bytes and of time that is measured while it goes on."""

import operator
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jinja2 import nodes

from worker.catalog.template_filters import FILTERS, FOR_MISSING, TESTS, VALUE_MAX, Missing, checked_length, text
from worker.core.rules.fault import SHOWN_MAX, UnfitError, quoted


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one rendering may take."""

    output_bytes: int = VALUE_MAX
    """UTF-8 bytes of the prompt: four for each of the 20,000 characters that the most patient model takes."""
    cpu_s: float = 1.0
    """CPU time of the thread, so that a busy machine changes nothing; a prompt takes well below a millisecond."""


DEFAULT_LIMITS = Limits()
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


class _At(Exception):
    """A fault with the line of the template that it comes from."""

    def __init__(self, lineno: int, reason: str) -> None:
        super().__init__(lineno, reason)
        self.lineno = lineno
        self.reason = reason


class _FieldMissingError(Exception):
    """The template needs a field that the item does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def is_blank(value: object) -> bool:
    """Whether a field counts as one that is not there."""
    return value is None or (isinstance(value, str) and not value.strip())


class Rendering:
    """One rendering: the fields of an item, and the limits that remain."""

    def __init__(self, fields: Mapping[str, object], limits: Limits) -> None:
        """Start the rendering's time now."""
        self._fields = fields
        self._limits = limits
        self._ends_at = time.thread_time() + limits.cpu_s

    def text(self, tree: nodes.Template) -> str:
        """Return the whole output; raise UnfitError with the line and the reason."""
        try:
            return "".join(self._measured(tree))
        except _FieldMissingError as error:
            reason = f"the template names {quoted(error.name)}, and the item has no such field"
            raise UnfitError(f"{reason}; it has {_names(self._fields)}") from error
        except _At as error:
            raise UnfitError(f"the template cannot be filled in: line {error.lineno}: {error.reason}") from error

    def _measured(self, tree: nodes.Template) -> Iterator[str]:
        left = self._limits.output_bytes
        for lineno, piece in self._pieces(tree.body):
            # A character has at least one byte: what is far too long is not even encoded.
            left -= len(piece) if len(piece) > left else len(piece.encode())
            if left < 0:
                raise _At(lineno, f"the prompt has more than {self._limits.output_bytes:,} bytes")
            yield piece

    def _pieces(self, body: list[nodes.Node]) -> Iterator[tuple[int, str]]:
        for node in body:
            if isinstance(node, nodes.If):
                yield from self._pieces(self._branch(node))
            elif isinstance(node, nodes.Output):
                for child in node.nodes:
                    yield child.lineno, self._printed(child)

    def _branch(self, node: nodes.If) -> list[nodes.Node]:
        for each in [node, *node.elif_]:
            if self._value(each.test):
                return each.body
        return node.else_

    def _printed(self, node: nodes.Expr) -> str:
        if isinstance(node, nodes.TemplateData):
            return node.data
        value = self._value(node)
        printed: str = self._guarded(node, lambda: text(value))
        return printed

    def _value(self, node: nodes.Node) -> Any:
        """Return the value of an expression; raise for a field that is not there."""
        found = self._guarded(node, lambda: self._of(node))
        if isinstance(found, Missing):
            raise _FieldMissingError(found.name)
        return found

    def _guarded(self, node: nodes.Node, evaluate: Callable[[], Any]) -> Any:
        """Name the line of whatever goes wrong; end a rendering that takes too long."""
        if time.thread_time() > self._ends_at:
            raise _At(node.lineno, f"it takes more than {self._limits.cpu_s:g} s")
        try:
            return evaluate()
        except UnfitError as unfit:
            raise _At(node.lineno, unfit.reason) from unfit
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise _At(node.lineno, f"{type(error).__name__}: {error}") from error

    def _of(self, node: nodes.Node) -> Any:
        return self._EXPRESSIONS[type(node)](self, node)

    def _const(self, node: nodes.Const) -> Any:
        return node.value

    def _name(self, node: nodes.Name) -> Any:
        value = self._fields.get(node.name, Missing(node.name))
        if isinstance(value, str):
            checked_length(len(value))
        return value

    def _getattr(self, node: nodes.Getattr) -> Any:
        return _part(self._value(node.node), node.attr)

    def _getitem(self, node: nodes.Getitem) -> Any:
        return _part(self._value(node.node), self._value(node.arg))

    def _list(self, node: nodes.List | nodes.Tuple) -> Any:
        return [self._value(each) for each in node.items]

    def _filter(self, node: nodes.Filter) -> Any:
        return FILTERS[node.name](self._operand(node), *self._arguments(node), **self._named_arguments(node))

    def _test(self, node: nodes.Test) -> Any:
        return TESTS[node.name](self._operand(node))

    def _condition(self, node: nodes.CondExpr) -> Any:
        if self._value(node.test):
            return self._value(node.expr1)
        return "" if node.expr2 is None else self._value(node.expr2)

    def _compare(self, node: nodes.Compare) -> Any:
        left = self._value(node.expr)
        for each in node.ops:
            right = self._value(each.expr)
            if not _COMPARED[each.op](left, right):
                return False
            left = right
        return True

    def _concat(self, node: nodes.Concat) -> Any:
        parts: list[str] = []
        length = 0
        for each in node.nodes:
            parts.append(self._printed(each))
            length += len(parts[-1])
            checked_length(length)
        return "".join(parts)

    def _and(self, node: nodes.And) -> Any:
        return self._value(node.left) and self._value(node.right)

    def _or(self, node: nodes.Or) -> Any:
        return self._value(node.left) or self._value(node.right)

    def _not(self, node: nodes.Not) -> Any:
        return not self._value(node.node)

    def _negative(self, node: nodes.Neg) -> Any:
        return -self._value(node.node)

    def _positive(self, node: nodes.Pos) -> Any:
        return +self._value(node.node)

    def _operand(self, node: nodes.Filter | nodes.Test) -> Any:
        """Return what a filter or test is used on; some may be given a field that is not there."""
        inner: Any = node.node
        return self._guarded(inner, lambda: self._of(inner)) if node.name in FOR_MISSING else self._value(inner)

    def _arguments(self, node: nodes.Filter | nodes.Test) -> list[Any]:
        return [self._value(each) for each in node.args]

    def _named_arguments(self, node: nodes.Filter | nodes.Test) -> dict[str, Any]:
        return {name: self._value(each) for name, each in keywords(node).items()}

    _EXPRESSIONS: ClassVar[Mapping[type[nodes.Node], Callable[[Any, Any], Any]]] = {
        nodes.And: _and,
        nodes.Compare: _compare,
        nodes.Concat: _concat,
        nodes.CondExpr: _condition,
        nodes.Const: _const,
        nodes.Filter: _filter,
        nodes.Getattr: _getattr,
        nodes.Getitem: _getitem,
        nodes.List: _list,
        nodes.Name: _name,
        nodes.Neg: _negative,
        nodes.Not: _not,
        nodes.Or: _or,
        nodes.Pos: _positive,
        nodes.Test: _test,
        nodes.Tuple: _list,
    }
    """How each kind of expression is evaluated; a checked template has no other."""


def keywords(node: nodes.Filter | nodes.Test) -> dict[str, nodes.Node]:
    """Return the arguments that are given by name; Jinja declares them as pairs, and makes them keywords."""
    pairs: list[Any] = list(node.kwargs)
    return {pair.key: pair.value for pair in pairs}


def _part(value: Any, key: Any) -> Any:
    """Return a member of an object, a list or a text: data alone, never an attribute of a Python object."""
    if isinstance(value, dict):
        return value.get(key, Missing(str(key)))
    if isinstance(value, list | str) and isinstance(key, int) and -len(value) <= key < len(value):
        return value[key]
    return Missing(text(key))


def _names(fields: Mapping[str, object]) -> str:
    shown = ", ".join(quoted(name) for name in list(fields)[:10])
    return (shown or "none")[: SHOWN_MAX * 10]
