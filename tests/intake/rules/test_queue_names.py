import pytest

from worker.intake.rules import delivery
from worker.intake.rules.delivery import TASKS


@pytest.mark.parametrize("name", ["darkroom.enqeue", "darkroom-enqueue", "Darkroom.Enqueue", "celery", "darkroom"])
def test_a_near_miss_names_the_queue_that_was_meant(name: str) -> None:
    assert delivery.meant(name) == "darkroom.enqueue"


@pytest.mark.parametrize("name", [*TASKS, "orders", "darkroom.enqueue.not-a-queue.1b4e28ba-2fa1", ""])
def test_own_and_other_queues_are_no_near_miss(name: str) -> None:
    assert delivery.meant(name) is None


def test_each_likely_misspelling_is_recognised() -> None:
    assert [name for name in delivery.misspellings() if delivery.meant(name) is None] == []
    assert "darkroom.enqeue" in delivery.misspellings()
