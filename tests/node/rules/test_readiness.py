"""A node is ready while it makes progress."""

from dataclasses import replace

import pytest

from worker.node.rules.readiness import NodeFacts, judge

WELL = NodeFacts(
    is_draining=False,
    up_s=600.0,
    round_age_s=0.5,
    error=None,
    taken_age_s=2.0,
    are_threads_busy=False,
    waiting_s=None,
    rate=10.0,
)


def test_a_node_that_completes_rounds_is_ready() -> None:
    assert judge(WELL).is_ready


def test_a_node_with_nothing_to_do_is_ready() -> None:
    assert judge(replace(WELL, taken_age_s=None)).is_ready


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_draining": True}, "draining"),
        ({"round_age_s": None, "up_s": 5.0}, "starting"),
        ({"round_age_s": None, "up_s": 5.0, "error": "KeyError: 'x'"}, "stalled"),
        ({"round_age_s": None, "up_s": 40.0}, "stalled"),
        ({"round_age_s": 31.0}, "stalled"),
        ({"database_error": "gone"}, "database"),
        ({"waiting_s": 70.0, "taken_age_s": 65.0}, "takes_nothing"),
        ({"waiting_s": 70.0, "taken_age_s": None}, "takes_nothing"),
        ({"waiting_s": 70.0, "taken_age_s": 65.0, "rate": None}, "takes_nothing"),
    ],
)
def test_a_node_without_progress_is_not_ready_and_says_why(change: dict[str, object], reason: str) -> None:
    found = judge(replace(WELL, **change))  # type: ignore[arg-type]  # one table for all fields

    assert (found.is_ready, found.reason) == (False, reason)


@pytest.mark.parametrize(
    "change",
    [
        {"waiting_s": 70.0, "taken_age_s": 5.0},
        {"waiting_s": 50.0, "taken_age_s": 65.0},
        {"waiting_s": 70.0, "taken_age_s": 65.0, "are_threads_busy": True},
        {"waiting_s": 70.0, "taken_age_s": 65.0, "rate": 0.2},
    ],
    ids=["takes", "not long", "busy", "low rate"],
)
def test_a_node_is_not_blamed_for_work_that_it_cannot_take_yet(change: dict[str, object]) -> None:
    assert judge(replace(WELL, **change)).is_ready  # type: ignore[arg-type]  # as above


def test_a_stalled_node_gives_the_error_of_its_last_round() -> None:
    assert judge(replace(WELL, round_age_s=45.0, error="boom")).detail == "no dispatch round for 45 s: boom"
