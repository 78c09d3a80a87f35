"""A node that dies between any two effects: another one goes on, and nothing is paid for twice or lost."""

from datetime import timedelta

import pytest

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.hooked import Fuse, die_after_create
from worker.engine import dispatch

EFFECTS = 90
"""More than two jobs have from their first dispatch to their end; the last test says so."""

LEASES_OVER = timedelta(minutes=2)
JOBS = ({"prompt": "1", "reference": "reference.png"}, {"prompt": "2"})


@pytest.mark.parametrize("effects", range(EFFECTS))
def test_another_node_goes_on_where_one_died(effects: int, node_for: NodeFor, sandbox: Provider) -> None:
    survivor = node_for()
    pictures.reference(survivor.folder)
    survivor.submit(*JOBS)
    sandbox.script(("create", 1, "fail_generation"))
    node_for(listener=Fuse(effects)).run_until_crash()
    survivor.clock.advance(LEASES_OVER)

    survivor.run_until_quiet()

    assert survivor.jobs() == ["succeeded", "succeeded"]
    assert survivor.generations().count("in_doubt") == 0
    books.check_all_done(survivor, sandbox)


@pytest.mark.parametrize("effects", range(0, EFFECTS, 7))
def test_the_books_agree_also_when_a_second_node_dies_too(effects: int, node_for: NodeFor, sandbox: Provider) -> None:
    survivor = node_for()
    pictures.reference(survivor.folder)
    survivor.submit(*JOBS)
    node_for(listener=Fuse(effects)).run_until_crash()
    survivor.clock.advance(LEASES_OVER)
    node_for(listener=Fuse(17)).run_until_crash()
    survivor.clock.advance(LEASES_OVER)

    survivor.run_until_quiet()

    assert survivor.jobs() == ["succeeded", "succeeded"]
    books.check_all_done(survivor, sandbox)


def test_a_node_that_dies_at_a_create_past_the_window_leaves_the_job_in_doubt(
    node_for: NodeFor, sandbox: Provider
) -> None:
    survivor = node_for()
    survivor.submit({"prompt": "1"})
    node_for(listener=die_after_create).run_until_crash()
    survivor.clock.advance(timedelta(hours=2))

    survivor.run_until_quiet()

    assert survivor.jobs() == ["in_doubt"]
    assert survivor.entries() == [("hold", 4)]
    assert len(sandbox.tasks()) == 1


def test_tickets_that_are_never_published_come_due_again(node_for: NodeFor, sandbox: Provider) -> None:
    node = node_for()
    node.submit({"prompt": "1"}, {"prompt": "2"})
    lost = dispatch.run(node.services).tickets

    node.run_until_quiet()

    assert len(lost) == 2
    assert node.jobs() == ["succeeded", "succeeded"]
    books.check_all_done(node, sandbox)


def test_the_crashes_reach_from_the_first_effect_to_beyond_the_last(node_for: NodeFor, sandbox: Provider) -> None:
    node = node_for(listener=Fuse(EFFECTS))
    pictures.reference(node.folder)
    node.submit(*JOBS)
    sandbox.script(("create", 1, "fail_generation"))

    burnt_at = node.run_until_crash()

    assert burnt_at is None
    assert node.jobs() == ["succeeded", "succeeded"]
