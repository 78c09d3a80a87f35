"""The forecast of a plan's duration: whichever of pace and window is slower, and the last image's own time."""

from dataclasses import replace

import pytest

from tests.catalog.shop import Shop
from worker.accounts.rules.learned_rate import CEILING
from worker.batches.queries import throughput
from worker.batches.queries.throughput import Bounds, Circumstances, MeasuredPace, rate_bounds

BEST = Circumstances(rate=15, window=100, polls=1, latency_s=4, last_s=3)
WORST = Circumstances(rate=7.5, window=100, polls=3.5, latency_s=9, last_s=20)
PACE = MeasuredPace(rate=10, window=100, latency_s=6, polls=2, images=500, rates=(7.5, 15))


@pytest.mark.parametrize(("images", "uploads", "seconds"), [(0, 0, 0), (1, 0, 6.3), (1_000, 0, 306), (1_000, 100, 316)])
def test_the_pace_decides_when_the_window_is_wide(images: int, uploads: int, seconds: float) -> None:
    assert PACE.duration_s(images, uploads=uploads) == pytest.approx(seconds)


def test_the_window_decides_when_it_is_narrow() -> None:
    narrow = MeasuredPace(rate=1_000, window=10, latency_s=6, polls=2, images=500, rates=(900, 1_100))

    assert narrow.duration_s(1_000) == pytest.approx(606)


def test_polls_and_latency_are_those_of_the_newest_images(shop: Shop) -> None:
    shop.bring_in({"sku": "c1", "colour": "red"})
    shop.refresh()
    services = shop.node.services

    with services.database.transaction() as tx:
        found = throughput.pace(tx, services.account_id)

    assert (found.images, found.polls, found.latency_s) == (1, 1, 2.5)


def test_the_bounds_are_those_of_the_best_and_the_worst_stretch() -> None:
    known = replace(PACE, bounds=Bounds(best=BEST, worst=WORST))

    low, high = known.range_s(1_500, uploads=75) or (0, 0)

    assert [low, high] == pytest.approx([3_075 / 15 + 3, 6_825 / 7.5 + 20])


def test_the_bounds_hold_the_forecast_between_them() -> None:
    odd = replace(PACE, bounds=Bounds(best=replace(BEST, last_s=1_000), worst=replace(WORST, rate=100)))

    low, high = odd.range_s(10) or (0, 0)

    assert low == odd.duration_s(10) <= high


def test_without_enough_images_there_are_no_bounds() -> None:
    assert PACE.range_s(1_000) is None


def test_the_bounds_of_a_pool_are_the_best_and_the_worst_of_any_account_at_their_rates_together() -> None:
    shop = replace(PACE, bounds=Bounds(best=BEST, worst=WORST))
    quick = Bounds(best=replace(BEST, polls=0.5, last_s=2), worst=replace(WORST, polls=1, last_s=5))
    studio = replace(PACE, rates=(10, 10), bounds=quick)

    low, high = throughput.together([shop, studio]).range_s(1_500) or (0, 0)

    assert [low, high] == pytest.approx([2_250 / 25 + 2, 6_750 / 17.5 + 20])


def test_a_new_account_of_a_pool_fares_between_the_bounds_of_the_others() -> None:
    known, new = replace(PACE, bounds=Bounds(best=BEST, worst=WORST)), replace(PACE, rates=(5, 20), images=3)

    low, high = throughput.together([known, new]).range_s(1_500) or (0, 0)

    assert [low, high] == pytest.approx([3_000 / 35 + 3, 6_750 / 12.5 + 20])


def test_a_pool_of_new_accounts_has_no_bounds() -> None:
    assert throughput.together([PACE, PACE]).range_s(1_000) is None


@pytest.mark.parametrize(
    ("is_learned", "was_throttled", "bounds"),
    [(False, True, (10, 10)), (True, True, (9, 11)), (True, False, (9, CEILING))],
)
def test_a_learned_rate_may_turn_out_a_tenth_lower_or_higher_and_any_amount_before_the_first_429(
    is_learned: bool,  # noqa: FBT001
    was_throttled: bool,  # noqa: FBT001
    bounds: tuple[float, float],
) -> None:
    assert rate_bounds(10, is_learned=is_learned, was_throttled=was_throttled) == pytest.approx(bounds)


def test_the_bounds_come_from_the_newest_images(shop: Shop) -> None:
    shop.bring_in(*({"sku": f"c{n}", "colour": f"red {n}"} for n in range(20)))
    shop.refresh()
    services = shop.node.services

    with services.database.transaction() as tx:
        found = throughput.pace_of(tx, "default")

    assert found is not None
    assert found.bounds is not None
    assert found.bounds.best.polls <= found.polls <= found.bounds.worst.polls
    assert found.bounds.best.latency_s <= found.latency_s <= found.bounds.worst.latency_s
    assert found.bounds.worst.rate == pytest.approx(0.9 * found.rate)


def test_an_account_that_is_not_there_has_no_pace(shop: Shop) -> None:
    with shop.node.services.database.transaction() as tx:
        assert throughput.pace_of(tx, "nobody") is None
