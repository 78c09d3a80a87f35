"""Every kind of step has its code, its Celery task and its queue."""

from worker.batches.rules.explaining import STEP_WORDS
from worker.core.rules.states import LEASES, StepKind
from worker.engine.steps.perform import STEPS
from worker.node.app import QUEUES
from worker.node.tasks import STEP_TASKS


def test_every_kind_of_step_has_its_step() -> None:
    assert set(STEPS) == set(LEASES) == set(StepKind)


def test_every_kind_of_step_has_its_words() -> None:
    assert set(STEP_WORDS) == set(StepKind)


def test_every_kind_of_step_has_its_task_and_its_queue() -> None:
    assert [task.name for task in STEP_TASKS.values()] == [f"darkroom.{kind}" for kind in StepKind]
    assert {task.name for task in STEP_TASKS.values()} <= set(QUEUES)
