"""A year of weekly refreshes, with everything that happens to a catalog and to its nodes in a year."""

import os

import pytest

from tests.catalog.schedules.year import WEEKS, Year
from tests.catalog.team import PRICE, Team
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor

ITEMS = int(os.environ.get("DARKROOM_TEST_YEAR_ITEMS", "40"))
"""The full size is 2,000; 40 keep the test within a minute on two idle cores."""


@pytest.mark.timeout(3600)
def test_in_a_year_of_refreshes_each_change_is_rendered_once_and_the_live_set_is_always_whole(
    reviewing: Team, sandbox: Provider, node_for: NodeFor
) -> None:
    """In every week, too: what has changed is rendered and nothing else, the spend is the price less what failed."""
    year = Year(team=reviewing, sandbox=sandbox, node_for=node_for, items=ITEMS)
    year.begin()

    year.pass_weeks()

    year.check_files()
    books.check_all_done(reviewing.node, sandbox)
    assert year.rendered() == +year.asked
    assert reviewing.spent() == PRICE * year.asked.total() == sandbox.wallet()["charged"]
    assert len(reviewing.runs(year.schedule_id)) == WEEKS
    assert year.deaths > WEEKS / 2
    assert year.failures > 0
