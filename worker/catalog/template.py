"""A prompt is made from a recipe's template and an item's fields, in a sandbox, and a missing field is an error."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.utils import missing

from worker.catalog.template_bounds import BoundedEnvironment, allowance
from worker.core.rules.fault import SHOWN_MAX, UnfitError, quoted

_CANNOT = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a template can fail with; an endless recursion is a RuntimeError."""
_OBJECT = re.compile(r"<[^<>]* at 0x[0-9a-f]+>")
"""How Python shows what is no text; the address is another one in each process."""


class _FieldMissingError(Exception):
    """The template names a field that the item does not have."""

    def __init__(self, field: object, message: str = "") -> None:
        super().__init__(field, message)
        self.field = str(field)


class _Missing(StrictUndefined):
    """An undefined value that tells its name when it is used; ``default`` and ``is defined`` still work on it."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, **_: Any) -> None:
        super().__init__(hint=hint, obj=obj, name=name, exc=cast("Any", partial(_FieldMissingError, name)))


class PromptTemplate:
    """A checked template; safe to use for any number of items.

    The same fields give the same prompt, at any time and in any process: a plan is made twice and must be the same.
    """

    def __init__(self, source: str) -> None:
        """Check the template; raise UnfitError with the line that is at fault."""
        environment = BoundedEnvironment(undefined=_Missing, autoescape=False, keep_trailing_newline=False)
        try:
            self._template: Template = environment.from_string(source)
            self.fields = frozenset(meta.find_undeclared_variables(environment.parse(source)))
            """The fields that it names; an item may have more."""
        except TemplateSyntaxError as error:
            raise UnfitError(f"is not a template: line {error.lineno}: {error.message}") from error
        except _CANNOT as error:
            raise UnfitError(f"is not a template: {type(error).__name__}: {error}") from error

    def prompt(self, fields: Mapping[str, object]) -> str:
        """Return the prompt, trimmed; raise UnfitError that names the field when there is none.

        A field that is null, empty or blank counts as one that is not there, so that no prompt has a hole in it.
        """
        present = {name: value for name, value in fields.items() if not _is_blank(value)}
        try:
            found = self._template.render(present | allowance()).strip()
        except _FieldMissingError as error:
            reason = f"the template names {quoted(error.field)}, and the item has no such field"
            raise UnfitError(f"{reason}; it has {_names(present)}") from error
        except _CANNOT as error:
            raise UnfitError(f"the template cannot be filled in: {type(error).__name__}: {error}") from error
        if _OBJECT.search(found):
            raise UnfitError("the template prints something that is neither text nor a number")
        return found


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _names(fields: Mapping[str, object]) -> str:
    shown = ", ".join(quoted(name) for name in list(fields)[:10])
    return (shown or "none")[: SHOWN_MAX * 10]
