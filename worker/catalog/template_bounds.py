"""What a template may do: nothing that leaves it to chance what comes out, and nothing without an end."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, cast

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_STEPS = 20_000
"""Turns of loops and calls in one prompt."""
LONGEST = 20_000
"""Characters of a text, and members of a list, at any time while a prompt is made."""
_GLOBALS = ("range", "dict", "namespace", "cycler", "joiner")
_FILTERS = (
    "abs", "attr", "capitalize", "count", "d", "default", "dictsort", "escape", "e", "first", "float", "format",
    "groupby", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
    "replace", "reverse", "round", "safe", "select", "selectattr", "sort", "string", "striptags", "sum", "title",
    "tojson", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
"""Those that give the same for the same: ``random`` is not among them, as ``lipsum`` is not among the globals."""
_PADDING = frozenset({"center", "expandtabs", "ljust", "rjust", "zfill"})
_STEPS = "steps left"
"""Under which a rendering keeps its count: no field that a template can name has a space in it."""
_WIDE = re.compile(r"\d{4,}|\*")
"""A width in a format that only fills memory."""


class _Steps:
    """How much one rendering may still do."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def take(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise SecurityError(f"it takes more than {MOST_STEPS:,} steps")


def allowance() -> dict[str, object]:
    """Return what a rendering gets beside its fields, anew for each."""
    return {_STEPS: _Steps()}


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox in which every template ends, and gives the same prompt for the same fields."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        """Keep only what is on the lists."""
        super().__init__(**options)
        self.globals = {name: self.globals[name] for name in _GLOBALS} | {"range": _range}
        self.filters = {name: _bounded(self.filters[name]) for name in _FILTERS} | {_counted.__name__: _counted}
        self.filters |= {_same.__name__: _bounded(_same), "format": _bounded(_format)}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Have every turn of a loop counted, and every text that is put together measured."""
        found = super()._parse(source, name, filename)
        for loop in found.find_all(nodes.For):
            loop.iter = _through(_counted, loop.iter)
        for parent in [found, *found.find_all(nodes.Node)]:
            _wrap_texts(parent)
        return found

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Count the call, and measure what it would fill up and what it gives."""
        context[_STEPS].take()
        name = getattr(called, "__name__", "")
        if name in _PADDING and any(isinstance(each, int) and each > LONGEST for each in args):
            raise SecurityError(f"it makes something longer than {LONGEST:,}")
        if name in {"format", "format_map"}:
            _check_format(getattr(called, "__self__", ""))
        return _checked(super().call(context, called, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse what would only fill memory."""
        if operator == "%" and isinstance(left, str):
            _check_format(left)
        if operator in {"*", "**"}:
            _check_product(operator, left, right)
        return _checked(super().call_binop(context, operator, left, right))


def _through(function: Callable[..., Any], node: nodes.Node) -> nodes.Expr:
    return nodes.Filter(cast("nodes.Expr", node), function.__name__, [], [], None, None, lineno=node.lineno)


def _wrap_texts(parent: nodes.Node) -> None:
    """Measure each ``a ~ b`` below this node."""
    for name, value in list(parent.iter_fields()):
        if isinstance(value, nodes.Concat):
            setattr(parent, name, _through(_same, value))
        elif isinstance(value, list):
            value[:] = [_through(_same, each) if isinstance(each, nodes.Concat) else each for each in value]


@pass_context
def _counted(context: Context, turns: Iterable[Any]) -> Iterator[Any]:
    for turn in turns:
        context[_STEPS].take()
        yield turn


def _same(value: Any) -> Any:
    return value


def _range(*bounds: int) -> range:
    return _checked(range(*bounds))  # type: ignore[no-any-return]  # what is given is given back


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    _check_format(str(value))
    return str(value) % (kwargs or args)


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter with what it gives measured; how Jinja calls it stays as it was."""

    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        return _checked(function(*args, **kwargs))

    return measured


def _checked(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict | range) and len(value) > LONGEST:
        raise SecurityError(f"it makes something longer than {LONGEST:,}")
    return value


def _check_product(operator: str, left: Any, right: Any) -> None:
    """Refuse a repetition or a power that does not fit, before it is made."""
    for many, times in ((left, right), (right, left)):
        if isinstance(many, str | list | tuple) and isinstance(times, int) and len(many) * times > LONGEST:
            raise SecurityError(f"it makes something longer than {LONGEST:,}")
    _check_number(left)
    _check_number(right)
    if operator == "**" and isinstance(right, int | float) and abs(right) > 64:  # noqa: PLR2004 - a number's bits
        raise SecurityError("it raises to a power above 64")


def _check_number(value: Any) -> None:
    if isinstance(value, int) and value.bit_length() > 64:  # noqa: PLR2004 - what a field can hold
        raise SecurityError("it computes with a number above 64 bits")


def _check_format(text: str) -> None:
    if isinstance(text, str) and _WIDE.search(text):
        raise SecurityError("it formats to a width of thousands")
