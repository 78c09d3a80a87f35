"""The forecast of a plan's duration: whichever of pace and window is slower, and the last image's own time."""

import pytest

from tests.catalog.shop import Shop
from worker.db import measured
from worker.db.measured import MeasuredPace

PACE = MeasuredPace(rate=10, window=100, latency_s=6, polls=2, images=500)


@pytest.mark.parametrize(("images", "uploads", "seconds"), [(0, 0, 0), (1, 0, 6.3), (1_000, 0, 306), (1_000, 100, 316)])
def test_the_pace_decides_when_the_window_is_wide(images: int, uploads: int, seconds: float) -> None:
    assert PACE.duration_s(images, uploads=uploads) == pytest.approx(seconds)


def test_the_window_decides_when_it_is_narrow() -> None:
    narrow = MeasuredPace(rate=1_000, window=10, latency_s=6, polls=2, images=500)

    assert narrow.duration_s(1_000) == pytest.approx(606)


def test_polls_and_latency_are_those_of_the_newest_images(shop: Shop) -> None:
    shop.bring_in({"sku": "c1", "colour": "red"})
    shop.refresh()
    services = shop.node.services

    with services.database.transaction() as tx:
        found = measured.pace(tx, services.account_id)

    assert (found.images, found.polls, found.latency_s) == (1, 1, 2.5)
