"""Whether an item is rendered or kept, and why: a rule over what is wanted and what is there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any
from uuid import UUID

from worker.catalog.rules.catalog import Keep, Reason, RenderState
from worker.core.rules.models_catalogue import ParamValue
from worker.intake.rules.request import JobRequest, fingerprint

MOST_FAILURES = 3
"""After so many plans in vain it is no accident: a schedule would pay for what fails for ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Prompt, parameters, model, and the SHA-256 of the bytes of each reference, in their order."""

    prompt: str
    params: Mapping[str, ParamValue]
    model: str
    references: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The same hash that a job of this content has."""
        request = JobRequest(
            line=0,
            key="",
            prompt=self.prompt,
            model=self.model,
            params=self.params,
            references=(),
            metadata={},
        )
        return fingerprint(request, self.references)


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """The image that an item shows."""

    render_id: UUID
    fingerprint: str
    rendered_at: datetime
    content: Content | None = None
    """What it was made from; needed only where that is not what is wanted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """The newest requested image that is not decided: under way, waiting for review, or failed."""

    fingerprint: str
    state: RenderState
    failures: int = 0
    """How many plans have asked for this content and got no image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One item as a plan sees it."""

    id: UUID
    sku: str
    wanted: Content
    fingerprint: str
    """Of what is wanted."""
    live: Live | None
    attempt: Attempt | None
    is_rejected: bool
    """Whether its last image was rejected and no plan has rendered it since."""
    kept_fingerprint: str | None
    """Content for which a person rolled back to an older image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of a plan beyond what has changed."""

    forced: frozenset[str] = frozenset()
    """SKUs that are rendered in any case."""
    made_before: datetime | None = None
    """Images that are older are rendered again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WordChange:
    """Words that were removed, and those in their place; either may be empty."""

    out: str
    into: str

    def __str__(self) -> str:
        """Return it as ``oak -> walnut``, ``+walnut`` or ``-oak``."""
        if not self.out:
            return f"+{self.into}"
        return f"{self.out} -> {self.into}" if self.into else f"-{self.out}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What is to happen to one item: it is rendered when ``keep`` is None."""

    id: UUID
    sku: str
    fingerprint: str
    wanted: Content
    keep: Keep | None = None
    reasons: tuple[Reason, ...] = ()
    words: tuple[WordChange, ...] = ()
    """The words of the prompt that differ from the live image's."""
    supersedes: bool = False
    """Whether an undecided image of other content, or of the same once more, is given up for this."""

    @property
    def is_render(self) -> bool:
        """Whether it costs something."""
        return self.keep is None


def decide(item: Item, options: Options) -> Decision:
    """Return the decision for one item; the same item and options give the same decision."""
    reasons = _reasons(item, options)
    keep = _keep(item, reasons)
    return Decision(
        id=item.id,
        sku=item.sku,
        fingerprint=item.fingerprint,
        wanted=item.wanted,
        keep=keep,
        reasons=() if keep else reasons,
        words=_words(item) if keep is None and Reason.PROMPT in reasons else (),
        supersedes=item.attempt is not None and (keep is None or item.attempt.fingerprint != item.fingerprint),
    )


def _reasons(item: Item, options: Options) -> tuple[Reason, ...]:
    """Return every reason to render, whether or not something speaks against it."""
    attempt = item.attempt
    has_failed = attempt is not None and attempt.state is RenderState.FAILED and attempt.fingerprint == item.fingerprint
    found: Mapping[Reason, bool] = {
        Reason.FORCED: item.sku in options.forced,
        Reason.REJECTED: item.is_rejected,
        Reason.FAILED: has_failed,
        Reason.NEW: item.live is None and not has_failed and not item.is_rejected,
        Reason.AGE: _is_too_old(item, options.made_before),
    }
    return (*(reason for reason, holds in found.items() if holds), *_differences(item))


def _is_too_old(item: Item, made_before: datetime | None) -> bool:
    return made_before is not None and item.live is not None and item.live.rendered_at < made_before


def _differences(item: Item) -> tuple[Reason, ...]:
    if item.live is None or item.live.fingerprint == item.fingerprint:
        return ()
    was, wanted = item.live.content, item.wanted
    assert was is not None, "a changed item needs the content that its image was made from"
    found = {
        Reason.PROMPT: was.prompt != wanted.prompt,
        Reason.REFERENCE: was.references != wanted.references,
        Reason.PARAMS: dict(was.params) != dict(wanted.params),
        Reason.MODEL: was.model != wanted.model,
    }
    return tuple(reason for reason, differs in found.items() if differs)


def _keep(item: Item, reasons: tuple[Reason, ...]) -> Keep | None:
    """Return what speaks against rendering; an image that a person asked for waits only for the same one on its way."""
    attempt = item.attempt
    is_same = attempt is not None and attempt.fingerprint == item.fingerprint
    if attempt is not None and is_same and attempt.state is RenderState.PLANNED:
        return Keep.RENDERING
    if Reason.FORCED in reasons or Reason.REJECTED in reasons:
        return None
    if attempt is not None and is_same and attempt.state is RenderState.CANDIDATE:
        return Keep.IN_REVIEW
    if attempt is not None and is_same and attempt.state is RenderState.FAILED and attempt.failures >= MOST_FAILURES:
        return Keep.GIVEN_UP
    if item.kept_fingerprint == item.fingerprint:
        return Keep.ROLLED_BACK
    return None if reasons else Keep.UNCHANGED


def _words(item: Item) -> tuple[WordChange, ...]:
    was = item.live.content if item.live else None
    return word_changes(was.prompt, item.wanted.prompt) if was else ()


def content_of(parts: Mapping[str, Any]) -> Content:
    """Read the content that was stored with a requested image."""
    named = parts["reference"]
    references = tuple(named) if isinstance(named, list) else () if named is None else (named,)
    return Content(prompt=parts["prompt"], params=parts["params"], model=parts["model"], references=references)


_WORD = re.compile(r"\S+")
_LONGEST_WORDS = 400
"""Comparing takes time with the square of the words; longer prompts are compared as a whole."""


def word_changes(before: str, after: str) -> tuple[WordChange, ...]:
    """Return the words that differ, in order; a difference of white space alone is one change of nothing."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    found = tuple(_compare(old, new))
    if not found and before != after:
        return (WordChange(out="white space", into="other white space"),)
    return found


def _compare(old: list[str], new: list[str]) -> Iterator[WordChange]:
    if max(len(old), len(new)) > _LONGEST_WORDS and old != new:
        yield WordChange(out=" ".join(old), into=" ".join(new))
        return
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield WordChange(out=" ".join(old[a:b]), into=" ".join(new[c:d]))
