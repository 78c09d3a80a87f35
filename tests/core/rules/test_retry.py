"""What is turned away is offered often enough and for long enough before a job fails."""

from datetime import timedelta

import pytest

from worker.core.rules import retry
from worker.core.rules.retry import OFFER_PERIOD, OFFER_TRIES

MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("tries", "waited", "in_vain"),
    [
        (OFFER_TRIES, OFFER_PERIOD, True),
        (OFFER_TRIES - 1, OFFER_PERIOD * 30, False),
        (OFFER_TRIES * 30, OFFER_PERIOD - MOMENT, False),
    ],
    ids=["both", "a node that was away", "many tries at once"],
)
def test_neither_many_tries_nor_a_long_time_alone_is_enough(
    tries: int,
    waited: timedelta,
    in_vain: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert retry.is_offered_in_vain(tries=tries, waited=waited) is in_vain
