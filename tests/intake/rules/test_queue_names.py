import pytest

from worker.intake.rules import delivery
from worker.intake.rules.delivery import TASKS


@pytest.mark.parametrize("name", ["darkroom.enqeue", "darkroom-enqueue", "Darkroom.Enqueue", "celery", "darkroom"])
def test_a_near_miss_names_the_queue_that_was_meant(name: str) -> None:
    assert delivery.meant(name) == "darkroom.enqueue"


@pytest.mark.parametrize(
    "name", [*TASKS, "darkroom.submit.shop", "orders", "darkroom.enqueue.not-a-queue.1b4e28ba-2fa1", ""]
)
def test_own_and_other_queues_are_no_near_miss(name: str) -> None:
    assert delivery.meant(name) is None


def test_each_likely_misspelling_is_recognised() -> None:
    assert [name for name in delivery.misspellings() if delivery.meant(name) is None] == []
    assert "darkroom.enqeue" in delivery.misspellings()


@pytest.mark.parametrize(
    ("account", "queue"),
    [
        ("default", "darkroom.submit"),
        ("shop", "darkroom.submit.shop"),
        ("shop-2_b", "darkroom.submit.shop-2_b"),
        ("Café No. 1", "darkroom.submit.0dd8a20c36ea3fad"),
    ],
)
def test_each_account_has_queues_of_its_own(account: str, queue: str) -> None:
    found = delivery.queue_of("darkroom.submit", account)

    assert found == queue
    assert delivery.task_and_suffix(found) == ("darkroom.submit", delivery.suffix_of(account))


@pytest.mark.parametrize("queue", ["darkroom.submit.", "darkroom.submit.a b", "darkroom.enqueue.shop", "orders.shop"])
def test_other_queues_are_no_accounts(queue: str) -> None:
    assert delivery.task_and_suffix(queue) == (queue, None)
    assert not delivery.is_own(queue)
