"""A message may be there before its slot begins: the worker waits, so that the provider sees an even stream."""

import pytest

from tests.pipeline.node import Node
from worker.core.rules.states import StepKind
from worker.engine import dispatch
from worker.node import process, tasks

SENT = "SELECT g.first_sent_at AS at FROM generation g JOIN job ON job.id = g.job_id ORDER BY line"


def test_a_worker_sends_each_create_when_its_slot_begins_and_not_before(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "services_of", lambda _: node.services)
    node.submit(*({"prompt": str(n)} for n in range(3)))
    tickets = dispatch.run(node.services).tickets
    slots = [ticket.not_before for ticket in tickets]

    tasks.STEP_TASKS[StepKind.SUBMIT]([(str(t.job_id), t.fence, t.not_before.timestamp()) for t in tickets])

    sent = [row["at"] for row in node.query(SENT)]
    assert len(set(slots)) == len(sent) == 3
    assert [at >= slot for at, slot in zip(sent, slots, strict=True)] == [True] * 3
