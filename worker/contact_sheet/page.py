"""A sheet is self-contained HTML: one file, or for many cards a few of them that lead to each other."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from markupsafe import Markup

from worker.contact_sheet import paging, template
from worker.contact_sheet.card import Card
from worker.contact_sheet.paging import PER_PAGE, Page
from worker.contact_sheet.thumbnail import thumbnail
from worker.core.rules.job import JobState

AT_ONCE = 4
"""Images that are read and made small at once: Pillow lets other threads work, and a bucket takes its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A card as it is shown."""

    card: Card
    small: str | None
    """The thumbnail as a data address."""
    has_image: bool
    """Whether the store had the image, even if it has no thumbnail because it cannot be decoded."""


def drawn(cards: Iterable[Card]) -> Iterator[Drawn]:
    """Yield every card with its thumbnail."""
    waiting: deque[Future[Drawn]] = deque()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="thumbnail") as pool:
        try:
            for card in cards:
                waiting.append(pool.submit(_draw, card))
                if len(waiting) > 2 * AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _draw(card: Card) -> Drawn:
    content = None if card.image is None else card.image()
    return Drawn(card=card, small=thumbnail(content), has_image=bool(content))


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


def write_sheet(path: Path, header: Header, cards: Iterable[Card], *, per_page: int = PER_PAGE) -> list[Path]:
    """The sheet is at ``path``, whole, its further pages beside it as NAME-2.html and so on; gives all of them.

    Pages of an older sheet are replaced, and those too many removed, only when all new ones are complete. Raises
    FileExistsError when a further page would take the place of something else. ``cards`` may be a generator: a few
    of its images and the thumbnails of one page are in memory at a time. An image that cannot be read says so.
    """
    pages = paging.pages(path, cards=sum(header.counts.values()), per_page=per_page)
    for page in pages[1:]:
        if page.path.exists() and not paging.is_page_of(path, page.path):
            raise FileExistsError(0, f"{page.path.name} is there and is no page of this sheet")
    shown = drawn(cards)
    template.write_all_whole((page.path, _pieces(page, header, list(_share(page, shown, per_page)))) for page in pages)
    for gone in paging.surplus(path, len(pages)):
        gone.unlink()
    return [page.path for page in pages]


def _share(page: Page, shown: Iterator[Drawn], per_page: int) -> Iterator[Drawn]:
    """Take the cards of one page; the last one has the rest, however many there are."""
    return shown if page.number == page.last else islice(shown, per_page)


def _pieces(page: Page, header: Header, shown: Sequence[Drawn]) -> Iterator[str]:
    script = template.own_text("sheet.js")
    environment = template.environment()
    environment.filters["words"] = _words
    here = Counter(each.card.state for each in shown)
    return environment.get_template("sheet.html.j2").generate(
        header=header,
        page=page,
        marker=Markup(paging.marker(page.first_name)),  # noqa: S704 - quoted by the rules of an address
        shown=shown,
        states=[state for state in JobState if header.counts.get(state)],
        here=here if page.last > 1 else header.counts,
        total=sum(header.counts.values()),
        count=len(shown),
        style=template.own_text("sheet.css"),
        script=script,
        script_hash=template.content_hash(script),
    )


def _words(state: JobState) -> str:
    return state.value.replace("_", " ")
