"""A recipe's template: fields, filters and conditions in Jinja's notation, checked when it is read.

Jinja only parses. No code is generated, no attribute of an object is read and nothing is called, so that there is no
sandbox to leave; without loops, arithmetic and assignments every template ends.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from worker.catalog.template_filters import FILTERS, TESTS
from worker.catalog.template_rendering import DEFAULT_LIMITS, Limits, Rendering, is_blank, keywords
from worker.core.rules.fault import UnfitError, not_known
from worker.core.rules.text import storable

SOURCE_MAX = 20_000
"""Characters of a template: as many as the longest prompt that a model takes."""
DEPTH_MAX = 60
"""Deepest nesting of expressions and conditions: far from where Python's stack ends."""
_PERMITTED = "permitted are fields, filters, tests, comparisons, `~` and if"
_PLAIN = (
    nodes.Template, nodes.Output, nodes.If, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const,
    nodes.List, nodes.Tuple, nodes.Filter, nodes.Test, nodes.Keyword, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.Concat, nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip
_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.For: "has a loop",
    nodes.Macro: "has a macro",
    nodes.CallBlock: "calls a macro",
    nodes.Call: "calls something",
    nodes.Assign: "sets a variable",
    nodes.AssignBlock: "sets a variable",
    nodes.Include: "includes a file",
    nodes.Import: "imports a file",
    nodes.FromImport: "imports a file",
    nodes.Slice: "takes a slice",
    nodes.Dict: "makes a dict",
}
_NUMBER_SIGNS = (nodes.Neg, nodes.Pos)


class PromptTemplate:
    """A checked template; safe to use for any number of items.

    The same fields give the same prompt, at any time and in any process: a plan is made twice and must be the same.
    """

    def __init__(self, source: str, limits: Limits = DEFAULT_LIMITS) -> None:
        """Check the template; raise UnfitError with the line that is at fault."""
        self._limits = limits
        self._tree = _parsed(source)
        _check(self._tree)
        self.fields = frozenset(node.name for node in self._tree.find_all(nodes.Name))
        """The fields that it names; an item may have more."""

    def prompt(self, fields: Mapping[str, object]) -> str:
        """Return the prompt, trimmed; raise UnfitError with the line, and the field when an item lacks it.

        A field that is null, empty or blank counts as one that is not there, so that no prompt has a hole in it.
        """
        present = {name: value for name, value in fields.items() if not is_blank(value)}
        return Rendering(present, self._limits).text(self._tree).strip()


def _parsed(source: str) -> nodes.Template:
    if len(storable(source)) > SOURCE_MAX:
        raise UnfitError(f"is not a template: it has more than {SOURCE_MAX:,} characters")
    try:
        return Environment(autoescape=True).parse(source)
    except TemplateSyntaxError as error:
        raise UnfitError(f"is not a template: line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise UnfitError(f"is not a template: it is nested deeper than {DEPTH_MAX}") from error
    except (ValueError, OverflowError) as error:
        # Jinja's lexer turns numerals into numbers, and Python refuses those of more than 4,300 digits.
        raise UnfitError(f"is not a template: it holds a number that cannot be read: {error}") from error


def _check(tree: nodes.Template) -> None:
    for node, depth in _walked(tree):
        try:
            _check_depth(depth)
            _check_node(node)
        except UnfitError as unfit:
            permitted = f"; permitted: {', '.join(unfit.permitted)}" if unfit.permitted else ""
            raise UnfitError(f"is not a template: line {node.lineno}: {unfit.reason}{permitted}") from unfit


def _walked(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int]]:
    """Yield every node with its depth, in the order of the source; a stack of its own, for trees that are too deep."""
    left = [(tree, 0)]
    while left:
        node, depth = left.pop()
        yield node, depth
        left.extend([(child, depth + 1) for child in node.iter_child_nodes()][::-1])


def _check_depth(depth: int) -> None:
    if depth > DEPTH_MAX:
        raise UnfitError(f"it is nested deeper than {DEPTH_MAX}")


def _check_node(node: nodes.Node) -> None:
    if type(node) in _NUMBER_SIGNS and isinstance(getattr(node, "node", None), nodes.Const):
        return
    if type(node) not in _PLAIN:
        what = _REFUSED.get(type(node)) or (
            "computes" if isinstance(node, nodes.BinExpr | nodes.UnaryExpr) else f"has a {type(node).__name__.lower()}"
        )
        raise UnfitError(f"it {what}; {_PERMITTED}")
    if isinstance(node, nodes.Filter | nodes.Test):
        _check_use(node)
    if isinstance(node, nodes.Name) and node.ctx != "load":
        raise UnfitError(f"it sets a variable; {_PERMITTED}")
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        storable(node.value)


def _check_use(node: nodes.Filter | nodes.Test) -> None:
    """Refuse a filter or test that is not known, and arguments that it does not take."""
    known: Mapping[str, Any] = FILTERS if isinstance(node, nodes.Filter) else TESTS
    what = "filter" if isinstance(node, nodes.Filter) else "test"
    if node.name not in known:
        unknown = not_known(node.name, sorted(known))
        raise UnfitError(f"the {what} {unknown.reason}", unknown.permitted)
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise UnfitError(f"the {what} {node.name!r} has arguments with a star")
    try:
        names = keywords(node)
        inspect.signature(known[node.name]).bind(None, *node.args, **dict.fromkeys(names))
    except TypeError as error:
        raise UnfitError(f"the {what} {node.name!r} cannot be used so: {error}") from error
