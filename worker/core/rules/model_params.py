"""The params of a model as data: their names on the wire, their types, and the limits of their values.

The same rule checks a request when it comes in and when its body is built, so that nothing is accepted that cannot be
sent.
"""

import math
import re
from dataclasses import dataclass

from worker.core.rules.fault import UnfitError, not_known, quoted

ParamValue = str | int | float
"""A value as it travels: selects are texts, numbers are numbers."""

NUMBER_MAX = 2**53 - 1
"""The largest number that every reader of JSON understands alike."""
_DIGITS = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{1,16})?")
_BOOLEANS = {True: "true", False: "false"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectParam:
    """A parameter whose value is one of a few texts; ``default`` is used when a request names none."""

    name: str
    default: str
    choices: tuple[str, ...]
    """Those that the provider's pages name."""
    other: str | None = None
    """What further values look like, as a regular expression, where the provider's page leaves some out; else None.

    Such a value is passed on, and the provider decides; a refusal costs nothing.
    """

    def value(self, given: object) -> str:
        """Return the value for a request, checked; raise UnfitError."""
        if given is None or given == "":
            return self.default
        if isinstance(given, bool) and _BOOLEANS[given] in self.choices:
            return _BOOLEANS[given]
        if not isinstance(given, str):
            raise UnfitError(f"must be text, not {quoted(given)}", self.choices)
        if given in self.choices or (self.other is not None and re.fullmatch(self.other, given)):
            return given
        raise not_known(given, self.choices)


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberParam:
    """A parameter whose value is a number; without a default a request that names none sends none."""

    name: str
    minimum: float
    maximum: float = NUMBER_MAX
    default: int | float | None = None
    is_whole: bool = True

    def value(self, given: object) -> int | float | None:
        """Return the value for a request, checked; a whole number however it was written; raise UnfitError."""
        if given is None or given == "":
            return self.default
        number = _number(given)
        if number is None or (self.is_whole and not isinstance(number, int)):
            raise UnfitError(f"must be {self._limits}, not {_shown(given)}")
        if not self.minimum <= number <= self.maximum:
            raise UnfitError(f"must be {self._limits}; it is {number}")
        return number

    @property
    def _limits(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        return f"{kind} from {self.minimum:,} to {self.maximum:,}"


Param = SelectParam | NumberParam


def _number(given: object) -> int | float | None:
    """Read a number, whole if it is one; None for anything else, and for what no JSON number can hold."""
    if isinstance(given, bool):
        return None
    if isinstance(given, str) and _DIGITS.fullmatch(given.strip()):
        given = float(given) if "." in given else int(given)
    if isinstance(given, float) and not math.isfinite(given):
        return None
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, int | float) else None


def _shown(given: object) -> str:
    return str(given) if isinstance(given, int | float) else quoted(given)
