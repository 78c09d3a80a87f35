"""A review sheet shows each new image beside the live one, takes the decisions, and saves them as a file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from pathlib import Path

from worker.contact_sheet import template

LONGEST = 400
"""Longest side of an image on the sheet in pixels: twice that is shown, so that detail can be judged."""

_MOST_WORDS = 400
"""Comparing takes time with the square of the words; a longer prompt is shown as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewHeader:
    """The sheet's header about the review."""

    catalog: str
    sheet_id: str
    """Under which the browser remembers decisions that were not saved yet."""
    made_at: datetime
    count: int
    price: int
    """Credits for one more try at one image."""
    reason_max: int
    """The longest reason of a rejection, in characters."""
    decisions_file: str
    """The name under which the browser saves them: another one for each sheet, so that none is taken for another."""
    part: str = ""
    """Such as ``sheet 2 of 5``, where there are several."""
    note: str = ""
    """A sentence above the cards, such as that the images come from the sandbox."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewCard:
    """One new image, and the one that it would take the place of."""

    sku: str
    render_id: str
    prompt: str
    """What the new image was made from."""
    reasons: Sequence[str]
    width: int
    height: int
    new: bytes | None = field(repr=False)
    """None when the store no longer has it."""
    new_href: str | None
    old: bytes | None = field(default=None, repr=False)
    old_prompt: str | None = None
    old_href: str | None = None
    live_since: datetime | None = None
    is_stale: bool = False
    """Whether its item has changed since the image was requested: it cannot be accepted."""

    not_as_ordered: str = ""
    """In what the new image differs from what was ordered."""
    is_refused: bool = False
    """Whether the recipe refuses to publish an image of its size."""
    rejected_before: Sequence[str] = ()
    """Why earlier images of the item were rejected."""

    @property
    def hindrance(self) -> str:
        """Why the image cannot be accepted; empty when it can."""
        if self.new is None:
            return "the store has lost this image: it cannot be accepted"
        if self.is_refused:
            return "not of the size that was ordered, which the recipe refuses to publish: it cannot be accepted"
        return "the item has changed since: it cannot be accepted, the next plan renders it" if self.is_stale else ""

    @property
    def words(self) -> Sequence["Words"]:
        """The prompt, with what differs from the live image's."""
        return differing(self.old_prompt, self.prompt)


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Adjacent words of a prompt that were kept, added or removed."""

    text: str
    is_new: bool = False
    is_gone: bool = False


def write_review(path: Path, header: ReviewHeader, cards: Iterable[ReviewCard]) -> None:
    """The review sheet is at ``path``, whole; ``cards`` may be a generator and is read one card at a time."""
    template.write_whole(path, _pieces(header, cards))


def differing(before: str | None, after: str) -> list[Words]:
    """Return the words of ``after`` in order, with those of ``before`` that are gone at their places."""
    old, new = (before or "").split(), after.split()
    if before is None or old == new or max(len(old), len(new)) > _MOST_WORDS:
        return [Words(text=after)]
    found: list[Words] = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Words(text=" ".join(new[j1:j2])))
            continue
        if i1 < i2:
            found.append(Words(text=" ".join(old[i1:i2]), is_gone=True))
        if j1 < j2:
            found.append(Words(text=" ".join(new[j1:j2]), is_new=True))
    return found


def _pieces(header: ReviewHeader, cards: Iterable[ReviewCard]) -> Iterator[str]:
    style, script = template.own_text("review.css"), template.own_text("review.js")
    return (
        template.environment()
        .get_template("review.html.j2")
        .generate(
            header=header,
            cards=cards,
            longest=LONGEST,
            reason_max=header.reason_max,
            style=style,
            style_hash=template.content_hash(style),
            script=script,
            script_hash=template.content_hash(script),
        )
    )
