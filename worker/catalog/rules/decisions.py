"""Decisions are what a person made of new images: a document with one line for each, checked whole."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import itemgetter
from typing import Any
from uuid import UUID

from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import UnfitError, quoted
from worker.core.rules.text import is_visible, storable

FORM, VERSION = "decisions", 1
"""What a document of decisions says of itself."""
REASON_MAX = 1_000
"""Longest reason in characters."""
_MOST_FAULTS = 20


class Verdict(StrEnum):
    """A person's verdict on one image."""

    ACCEPT = "accept"
    """It goes live."""
    REJECT = "reject"
    """It does not; the item is rendered again with the next plan."""


class DecisionOutcome(StrEnum):
    """The outcome of a saved decision."""

    APPLIED = "applied"
    """It took effect."""
    REFUSED = "refused"
    """It could not take effect when it was applied."""
    REPLACED = "replaced"
    """Another decision about the same image was applied."""
    UNDONE = "undone"
    """Its author took it back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The decision about one image."""

    sku: str
    render_id: UUID
    verdict: Verdict
    prompt: str | None = None
    """The reviewer's own words for the next try, with a rejection."""
    reason: str | None = None
    """Why it is rejected: one line."""
    said_at: datetime | None = None
    """When it was decided: when its file was saved; None when that is unknown."""
    by: str | None = None
    """Who decided it; None: who applies it."""
    number: int | None = None
    """Under which it was saved in the database; None: it was not."""


class DecisionsFaulty(DarkroomError):
    """A document that does not hold decisions about this catalog; nothing was decided."""

    error_code = "decisions_invalid"

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep what is wrong, one sentence each."""
        super().__init__(tuple(faults))
        self.faults = tuple(faults)

    def __str__(self) -> str:
        """List the faults, one on a line."""
        more = len(self.faults) - _MOST_FAULTS
        return "\n".join([*self.faults[:_MOST_FAULTS], *([f"and {more:,} more"] if more > 0 else [])])


def read(content: bytes, *, catalog: str) -> list[Decision]:
    """Return the decisions of a saved document; raise DecisionsFaulty with all that is wrong with it."""
    return _read(content, catalog)[1]


def read_all(contents: Iterable[bytes], *, catalog: str) -> list[Decision]:
    """Return the decisions of several documents; a later one overrides. Raises DecisionsFaulty."""
    found: dict[UUID, Decision] = {}
    for _, decisions in sorted((_read(each, catalog) for each in contents), key=itemgetter(0)):
        found |= {each.render_id: each for each in decisions}
    return list(found.values())


def reason_of(given: object) -> str | None:
    """Return a reason as one line of visible text, None when it is blank; raise UnfitError when it is too long."""
    text = storable("" if given is None else given)
    # An emoji may be joined by characters that cannot be seen; that is no ground to refuse a whole file.
    reason = " ".join("".join(char if is_visible(char) else " " for char in text).split())
    if len(reason) > REASON_MAX:
        raise UnfitError(f"the reason has {len(reason):,} characters, permitted are {REASON_MAX:,}")
    return reason or None


def _instant(given: object) -> datetime | None:
    """Return when a document was saved; None when it does not say so in a way that can be compared."""
    try:
        found = datetime.fromisoformat(str(given))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _read(content: bytes, catalog: str) -> tuple[str, list[Decision]]:
    """Return when a document was saved, and what it holds."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DecisionsFaulty([f"it is not JSON: {error}; save the decisions from the sheet again"]) from error
    lines = _lines(document, catalog)
    said_at = _instant(document.get("saved_at"))
    found = [_decision(raw, number, said_at) for number, raw in enumerate(lines, start=1)]
    faults = [each for each in found if isinstance(each, str)]
    decisions = [each for each in found if isinstance(each, Decision)]
    faults += _doubled(decisions)
    if faults:
        raise DecisionsFaulty(faults)
    return str(document.get("saved_at", "")), decisions


def _lines(document: Any, catalog: str) -> Sequence[object]:
    if not isinstance(document, Mapping) or document.get("darkroom") != FORM:
        raise DecisionsFaulty(['it is not a file of decisions: one begins with "darkroom": "decisions"'])
    if document.get("version") != VERSION:
        raise DecisionsFaulty(
            [f"its version is {quoted(str(document.get('version')))}, and only {VERSION} can be read"]
        )
    if document.get("catalog") != catalog:
        raise DecisionsFaulty([f"it is about the catalog {quoted(document.get('catalog'))}, not {quoted(catalog)}"])
    lines = document.get("decisions")
    if not isinstance(lines, list):
        raise DecisionsFaulty(['"decisions" must be a list'])
    return lines


def _decision(raw: object, number: int, said_at: datetime | None) -> Decision | str:
    if not isinstance(raw, Mapping):
        return f"decision {number} is not an object"
    try:
        return Decision(
            sku=storable(raw.get("sku")),
            render_id=UUID(str(raw.get("render"))),
            verdict=Verdict(str(raw.get("decision"))),
            prompt=None if raw.get("prompt") is None else storable(raw["prompt"]),
            reason=reason_of(raw.get("reason")),
            said_at=said_at,
        )
    except UnfitError as unfit:
        return f"decision {number}: {unfit.reason}"
    except ValueError:
        return f'decision {number} needs "render" (an id) and "decision" (accept or reject)'


def _doubled(decisions: Sequence[Decision]) -> list[str]:
    seen: set[UUID] = set()
    faults = []
    for each in decisions:
        if each.render_id in seen:
            faults.append(f"{each.sku}: image {each.render_id} is decided twice")
        seen.add(each.render_id)
    return faults
