"""A sheet is one self-contained HTML file, written card by card, so that its size costs no memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from worker.domain.job import JobState
from worker.sheet import template


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What the sheet says about the batch as a whole; credits are integers, times are aware."""

    batch_id: str
    name: str
    owner: str
    submitted_at: datetime
    made_at: datetime
    counts: Mapping[JobState, int]
    cap: int | None
    """None when the batch has no cap of its own."""
    held: int
    reserved: int
    spent: int
    note: str = ""
    """A sentence above the cards, such as that the images come from the sandbox."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One job on the sheet."""

    line: int
    key: str
    prompt: str
    state: JobState
    image: bytes | None = field(default=None, repr=False)
    """The result as it is stored; shown as a thumbnail."""
    href: str | None = None
    """Where the full image is: a path relative to the sheet, or an http(s) or file address."""
    width: int | None = None
    height: int | None = None
    image_size: str = ""
    output_format: str = ""
    reference: str = ""
    reserved: int | None = None
    final: int | None = None
    provider_id: str = ""
    error: str = ""


def write_sheet(path: Path, header: Header, cards: Iterable[Card]) -> None:
    """The sheet is at ``path``, whole; an older one is replaced only when the new one is complete.

    ``cards`` may be a generator: it is read one card at a time. An image that cannot be read says so.
    """
    template.write_whole(path, _pieces(header, cards))


def _pieces(header: Header, cards: Iterable[Card]) -> Iterator[str]:
    script = template.own_text("sheet.js")
    environment = template.environment()
    environment.filters["words"] = _words
    return environment.get_template("sheet.html.j2").generate(
        header=header,
        cards=cards,
        states=[state for state in JobState if header.counts.get(state)],
        total=sum(header.counts.values()),
        style=template.own_text("sheet.css"),
        script=script,
        script_hash=template.content_hash(script),
    )


def _words(state: JobState) -> str:
    return state.value.replace("_", " ")
