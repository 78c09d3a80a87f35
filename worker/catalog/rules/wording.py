"""Which words of a prompt differ from those of another one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORD = re.compile(r"\S+")
_LONGEST_WORDS = 400
"""Comparing takes time with the square of the words; longer prompts are compared as a whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Words that were taken out, and those that stand there now; one of them may be empty."""

    out: str
    into: str

    def __str__(self) -> str:
        """Return it as ``oak -> walnut``, ``+walnut`` or ``-oak``."""
        if not self.out:
            return f"+{self.into}"
        return f"{self.out} -> {self.into}" if self.into else f"-{self.out}"


def changes(before: str, after: str) -> tuple[Change, ...]:
    """Return the words that differ, in order; a difference of white space alone is one change of nothing."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    found = tuple(_compare(old, new))
    if not found and before != after:
        return (Change(out="white space", into="other white space"),)
    return found


def _compare(old: list[str], new: list[str]) -> Iterator[Change]:
    if max(len(old), len(new)) > _LONGEST_WORDS and old != new:
        yield Change(out=" ".join(old), into=" ".join(new))
        return
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Change(out=" ".join(old[a:b]), into=" ".join(new[c:d]))
