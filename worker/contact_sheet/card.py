"""A card is one job on a sheet."""

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.core.rules.job import JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One job on the sheet."""

    line: int
    key: str
    prompt: str
    state: JobState
    image: Callable[[], bytes | None] | None = field(default=None, repr=False)
    """Gives the result as it is stored, None when it is gone; called once, in a thread, and shown as a thumbnail."""
    href: str | None = None
    """Where the full image is: a path relative to the sheet, or an http(s) or file address."""
    width: int | None = None
    height: int | None = None
    image_size: str = ""
    output_format: str = ""
    not_as_ordered: str = ""
    """In what the image differs from what was ordered."""
    reference: str = ""
    reserved: int | None = None
    final: int | None = None
    provider_id: str = ""
    error: str = ""
