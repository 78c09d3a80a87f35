"""Interactive images behind any number of bulk ones."""

from datetime import timedelta

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node

NOT_YET = 100_000
LEFT = "SELECT count(*) AS left FROM job WHERE key LIKE 'wanted%' AND state <> 'succeeded'"


def set_rate(node: Node, rate: float) -> None:
    node.limit(rate=rate, window=200)


def test_ten_interactive_images_behind_a_window_full_of_bulk_ones_are_there_in_30_seconds(
    node: Node, sandbox: Provider
) -> None:
    """At 20 requests a second the polls of 180 open generations alone would take every slot there is."""
    set_rate(node, 1000.0)
    sandbox.set(latency_median_s=NOT_YET)
    node.submit(*({"prompt": str(n)} for n in range(400)), owner="nightly")
    node.run_for(timedelta(seconds=2))
    sandbox.set(latency_median_s=0)
    set_rate(node, 20.0)
    node.clock.advance(timedelta(seconds=10))
    full = node.generations().count("accepted")
    node.submit(*({"key": f"wanted {n}", "prompt": str(n)} for n in range(10)), owner="ann", priority="interactive")

    node.run_for(timedelta(seconds=30))

    assert full == 180
    assert node.query(LEFT) == [{"left": 0}]
    books.check(node, sandbox)
