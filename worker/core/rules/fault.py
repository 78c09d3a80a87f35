"""A fault says which line and field of a request cannot be accepted, why, and what would be."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

SHOWN_MAX = 60
"""A value from outside is cut to this many characters when a message shows it."""


class UnfitError(ValueError):
    """A value cannot be accepted; carries the reason and what is permitted, not yet the place."""

    def __init__(self, reason: str, permitted: tuple[str, ...] = ()) -> None:
        """Keep the reason, which continues the sentence that the field's name begins."""
        super().__init__(reason, permitted)
        self.reason = reason
        self.permitted = permitted


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One reason why one line is refused; line 0 is the batch itself."""

    line: int
    key: str | None = None
    field: str = ""
    reason: str
    permitted: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return place, field, reason and permitted values in one line of text."""
        place = f"line {self.line}" if self.line else "batch"
        key = f" (key {plain(self.key)})" if self.key is not None else ""
        field = f", {plain(self.field)}" if self.field else ""
        permitted = f"; permitted: {', '.join(self.permitted)}" if self.permitted else ""
        return f"{place}{key}{field}: {self.reason}{permitted}"


def not_known(value: str, permitted: Iterable[str]) -> UnfitError:
    """An error that names the value, the nearest permitted one where there is one, and all of them."""
    choices = tuple(permitted)
    near = get_close_matches(value[:SHOWN_MAX].casefold(), choices, n=1, cutoff=0.6)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return UnfitError(f"{quoted(value)} is not known{hint}", choices)


def quoted(value: object) -> str:
    """The value as a message may show it: in quotes, cut, on one line, with nothing invisible in it."""
    return f"'{plain(value if isinstance(value, str) else type(value).__name__)}'"


def plain(text: str) -> str:
    """The text cut and with everything escaped that a terminal would act on."""
    cut = text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in cut)
