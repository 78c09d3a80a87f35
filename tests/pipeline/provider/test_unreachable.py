"""While paid images cannot be downloaded, no more are bought."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node

MANY = tuple({"prompt": str(n)} for n in range(30))
WINDOW = 12


@pytest.fixture
def narrow(node: Node) -> Node:
    """Return a node that has a dozen generations open at most."""
    node.limit(rate=None, window=WINDOW)
    return node


def test_nothing_more_is_bought_while_no_image_can_be_had_and_the_first_one_ends_it(
    narrow: Node, sandbox: Provider
) -> None:
    narrow.submit(*MANY)
    sandbox.set(faults={"download": {"http_503": 1.0}})
    narrow.run_for(timedelta(hours=2))
    during = (narrow.pause_reason(), len(sandbox.tasks()), narrow.jobs().count("failed"))
    sandbox.set(faults={"download": {"http_503": 0.0}})

    narrow.run_until_quiet()

    assert during == ("results_unreachable", WINDOW, 0)
    assert narrow.jobs() == ["succeeded"] * len(MANY)
    assert narrow.pause_reason() is None
    books.check_all_done(narrow, sandbox)


def test_images_that_are_gone_stop_the_spending_too(narrow: Node, sandbox: Provider) -> None:
    narrow.submit(*MANY)
    sandbox.set(result_gone_status=404, result_ttl_s=0.000001)

    narrow.run_for(timedelta(hours=2))

    assert narrow.pause_reason() == "results_unreachable"
    assert len(sandbox.tasks()) == WINDOW
    assert (narrow.jobs().count("failed"), narrow.jobs().count("pending")) == (WINDOW, len(MANY) - WINDOW)
    books.check(narrow, sandbox)


def test_a_few_late_images_among_many_stop_nothing(node_for: NodeFor, sandbox: Provider) -> None:
    node = node_for()
    node.submit(*MANY[:9])
    sandbox.set(faults={"download": {"http_503": 1.0}})

    node.run_for(timedelta(minutes=10))

    assert node.pause_reason() is None
