"""Cards get their thumbnails, several at once and in their order; few full images are in memory at a time."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from worker.contact_sheet.card import Card
from worker.contact_sheet.thumbnail import thumbnail

AT_ONCE = 4
"""Images that are read and made small at once: Pillow lets other threads work, and a bucket takes its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A card as it is shown."""

    card: Card
    small: str | None
    """The thumbnail as a data address."""
    has_image: bool
    """Whether there were bytes, even if no thumbnail could be made of them."""


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
