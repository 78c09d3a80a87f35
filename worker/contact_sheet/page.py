"""Contact sheet of a batch: self-contained HTML, in one file or in several pages that link to each other."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from worker.contact_sheet import template
from worker.contact_sheet.template import thumbnail
from worker.core.rules.states import JobState

AT_ONCE = 4
"""Images that are read and made small at once: Pillow lets other threads work, and a bucket takes its time."""


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
    """The sheet's header about the batch; credits are integers, times are aware."""

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


PER_PAGE = 500
"""Cards on a page. Measured in Chromium: 500 load in 0.4 s and 110 MB, 10,000 on one page in 6 s and 460 MB."""


def write_sheet(path: Path, header: Header, cards: Iterable[Card], *, per_page: int = PER_PAGE) -> list[Path]:
    """The sheet is at ``path``, whole, its further pages beside it as NAME-2.html and so on; gives all of them.

    Pages of an older sheet are replaced, and those too many removed, only when all new ones are complete. Raises
    FileExistsError when a further page would take the place of something else. ``cards`` may be a generator: a few
    of its images and the thumbnails of one page are in memory at a time. An image that cannot be read says so.
    """
    pages = pages_of(path, cards=sum(header.counts.values()), per_page=per_page)
    for page in pages[1:]:
        if page.path.exists() and not is_page_of(path, page.path):
            raise FileExistsError(0, f"{page.path.name} is there and is no page of this sheet")
    shown = drawn(cards)
    template.write_all_whole((page.path, _pieces(page, header, list(_share(page, shown, per_page)))) for page in pages)
    for gone in surplus(path, len(pages)):
        gone.unlink()
    return [page.path for page in pages]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page of a sheet; the first has the sheet's own name, the others lie beside it."""

    sheet: Path
    """Where the first page is."""
    number: int
    """From 1."""
    last: int
    """How many pages there are."""

    @property
    def path(self) -> Path:
        """Where this page is."""
        return page_path(self.sheet, self.number)

    @property
    def first_name(self) -> str:
        """The file name of the first page."""
        return self.sheet.name

    def href(self, number: int) -> str:
        """The way from any page to that page."""
        return quote(page_path(self.sheet, number).name)

    @property
    def linked(self) -> Sequence[int | None]:
        """The numbers to show, in order; None where some are left out."""
        near = range(self.number - _NEAR, self.number + _NEAR + 1)
        shown = sorted({1, self.last, *(number for number in near if 1 <= number <= self.last)})
        found: list[int | None] = []
        for before, number in zip([0, *shown], shown, strict=False):
            found += [None, number] if number > before + 1 else [number]
        return found


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
        marker=Markup(marker(page.first_name)),  # noqa: S704 - quoted by the rules of an address
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


_NEAR = 2
"""So many pages before and after are linked by their numbers, beside the first and the last."""


def page_path(sheet: Path, number: int) -> Path:
    """Return where that page of the sheet is."""
    return sheet if number == 1 else sheet.with_name(f"{sheet.stem}-{number}{sheet.suffix}")


def pages_of(sheet: Path, *, cards: int, per_page: int) -> list[Page]:
    """Return the pages for that many cards, at least one."""
    last = max(1, -(-cards // per_page))
    return [Page(sheet=sheet, number=number, last=last) for number in range(1, last + 1)]


def surplus(sheet: Path, last: int) -> list[Path]:
    """Return the surplus pages of an earlier, longer sheet of the same name, and no other file."""
    found: list[Path] = []
    while is_page_of(sheet, path := page_path(sheet, last + len(found) + 1)):
        found.append(path)
    return found


def is_page_of(sheet: Path, path: Path) -> bool:
    """Whether the file exists and carries the marker of a page of this sheet."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return marker(sheet.name) in file.read(_HEAD)
    except FileNotFoundError:
        return False


def marker(first_name: str) -> str:
    """Return the marker in the head of each further page."""
    return f'<meta name="darkroom-page-of" content="{quote(first_name)}">'


_HEAD = 1_000
