import pytest

from worker.core.rules.batch_request import Priority
from worker.engine.rules import fairness

BULK, REFRESH, INTERACTIVE = Priority.BULK, Priority.REFRESH, Priority.INTERACTIVE


def room(size: int, **in_flight: int) -> dict[str, int]:
    left = fairness.rooms(size, {Priority(name): count for name, count in in_flight.items()})
    return {priority.value: fairness.room_of(priority, left) for priority in Priority}


@pytest.mark.parametrize(
    ("in_flight", "expected"),
    [
        ({}, {"interactive": 500, "refresh": 475, "bulk": 450}),
        ({"bulk": 450}, {"interactive": 50, "refresh": 25, "bulk": 0}),
        ({"bulk": 450, "refresh": 25}, {"interactive": 25, "refresh": 0, "bulk": 0}),
        ({"bulk": 300, "refresh": 175}, {"interactive": 25, "refresh": 0, "bulk": 0}),
        ({"interactive": 499}, {"interactive": 1, "refresh": 1, "bulk": 1}),
        ({"interactive": 500}, {"interactive": 0, "refresh": 0, "bulk": 0}),
        ({"bulk": 600}, {"interactive": 0, "refresh": 0, "bulk": 0}),
    ],
)
def test_each_class_leaves_a_twentieth_of_the_window_to_each_class_above_it(
    in_flight: dict[str, int], expected: dict[str, int]
) -> None:
    assert room(500, **in_flight) == expected


def test_urgent_work_in_plenty_leaves_the_places_that_come_free_to_be_shared() -> None:
    """Else bulk jobs, which must leave room, would have none for as long as urgent ones fill the window."""
    assert room(500, interactive=490, bulk=5)["bulk"] == 5


@pytest.mark.parametrize("size", [1, 7, 19])
def test_a_small_window_is_open_to_all_to_the_last_place(size: int) -> None:
    assert room(size) == {"interactive": size, "refresh": size, "bulk": size}
