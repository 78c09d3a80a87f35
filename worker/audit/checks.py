"""What a check of the books is: a rule, whether it holds, and the first rows that break it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXAMPLES = 10
"""How many of the rows that break a rule are shown."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule, whether it holds, and the first rows that break it."""

    name: str
    rule: str
    broken: int
    """How many rows break it."""
    examples: tuple[Mapping[str, Any], ...]
    notes: tuple[Mapping[str, Any], ...] = ()
    """The first rows that are worth a word although they do not break it."""

    @property
    def ok(self) -> bool:
        """Whether nothing breaks it."""
        return self.broken == 0
