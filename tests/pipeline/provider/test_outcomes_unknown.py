"""Creates that are carried out and not answered stop the account after a few; what was sent is replayed."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.hooked import HookedClient
from tests.pipeline.node import Node


def lose(sandbox: Provider, fault: str, share: float) -> None:
    sandbox.set(faults={"create": {fault: share}})


def chairs(count: int) -> list[dict[str, object]]:
    return [{"prompt": f"Chair {n}"} for n in range(count)]


@pytest.mark.parametrize("fault", ["http_500_html_after", "lost_reply", "malformed_json"])
@pytest.mark.parametrize("hours", [0.07, 24])
def test_creates_without_an_answer_buy_few_images_however_long_it_lasts(
    hours: float, fault: str, node: Node, sandbox: Provider
) -> None:
    node.limit(rate=50)
    node.submit(*chairs(60))
    lose(sandbox, fault, 1.0)

    node.run_for(timedelta(hours=hours))

    assert node.pause_reason() == "outcomes_unknown"
    assert len(sandbox.tasks()) < 10
    assert node.query("SELECT DISTINCT held FROM generation WHERE state IN ('sending', 'in_doubt')") == [{"held": 4}]


def test_it_goes_on_when_the_provider_answers_again_and_nothing_is_bought_twice(node: Node, sandbox: Provider) -> None:
    node.submit(*chairs(60))
    lose(sandbox, "http_500_html_after", 1.0)
    node.run_for(timedelta(minutes=10))
    bought = len(sandbox.tasks())
    lose(sandbox, "http_500_html_after", 0.0)

    node.run_until_quiet()

    assert bought < 10
    assert node.jobs() == ["succeeded"] * 60
    assert len(sandbox.tasks()) == 60
    assert node.pause_reason() is None
    books.check_all_done(node, sandbox)


def test_after_doubts_for_hours_one_create_at_a_time_finds_out_that_the_provider_answers(
    node: Node, sandbox: Provider
) -> None:
    """The requests that could be replayed have become doubts: only a new one can tell."""
    node.submit(*chairs(20))
    lose(sandbox, "http_500_html_after", 1.0)
    node.run_for(timedelta(hours=3))
    lose(sandbox, "http_500_html_after", 0.0)
    doubts = node.jobs().count("in_doubt")

    node.run_until_quiet()

    assert 3 <= doubts < 10
    assert node.jobs().count("in_doubt") <= doubts + 1
    assert node.jobs().count("succeeded") >= 19 - doubts
    assert len(sandbox.tasks()) == 20
    assert books.balance(node, "spent") + 4 * node.jobs().count("in_doubt") == sandbox.wallet()["charged"]


def test_lost_answers_now_and_then_pause_nothing(node: Node, sandbox: Provider) -> None:
    sandbox.script(*(("create", n, "lost_reply") for n in (1, 2, 4, 5, 8)))
    node.submit(*chairs(12))
    paused: set[str | None] = set()

    for _ in range(60):
        node.run_for(timedelta(seconds=1))
        paused.add(node.pause_reason())

    assert paused == {None}
    assert node.jobs() == ["succeeded"] * 12


@pytest.mark.parametrize(("jobs", "lost"), [(1, (1, 2, 3, 4)), (4, (1, 2))])
def test_neither_two_lost_answers_nor_those_of_one_job_alone_pause_the_account(
    jobs: int, lost: tuple[int, ...], node: Node, sandbox: Provider
) -> None:
    """That a request is sent again under its key buys nothing more, so each job counts once."""
    sandbox.script(*(("create", n, "lost_reply") for n in lost))
    node.submit(*chairs(jobs))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * jobs
    assert node.query("SELECT resumed_at FROM account") == [{"resumed_at": None}]


@pytest.mark.parametrize("figure", ["4.5", "-1", '"four"', "[4]", "true"])
def test_an_answer_with_an_id_and_an_unusable_figure_counts_as_created(
    figure: str, node: Node, sandbox: Provider
) -> None:
    sandbox.set(reserved_shown=figure)
    node.submit(*chairs(12))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 12
    assert len(sandbox.tasks()) == 12
    assert node.pause_reason() is None
    books.check_all_done(node, sandbox)


def test_creates_that_are_answered_with_the_id_of_another_generation_buy_few_images(
    node: Node, sandbox: Provider
) -> None:
    assert isinstance(node.services.client, HookedClient)
    node.services.client.answered_id = "task_of_another"
    node.submit(*chairs(60))

    node.run_for(timedelta(hours=2))

    assert node.pause_reason() == "outcomes_unknown"
    assert len(sandbox.tasks()) < 10
    doubts = node.query("SELECT count(*) AS n FROM generation WHERE error_code = 'provider_id_reused'")
    assert doubts[0]["n"] == len(sandbox.tasks()) - 1
