"""The same operations from two sessions at once: whichever wins, every rule of the books holds, and none deadlocks."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.batches.crew import SharedClock
from tests.fixtures import writing
from tests.pipeline.node import START
from tests.property import rig as rigs
from tests.property.provider import Fate
from tests.property.session import Session
from worker.audit.verify import verify
from worker.core.db.session import Database

OPERATIONS = 80
ACCEPTED = "SELECT count(*) FROM generation WHERE provider_id IS NOT NULL"


@pytest.mark.parametrize("is_one_node", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_two_sessions_at_once_break_no_rule_and_never_deadlock(
    seed: int, database: Database, *, is_one_node: bool
) -> None:
    rig = rigs.make(database, SharedClock(START))
    if is_one_node:
        rig = replace(rig, services=writing.together(rig.services, collectors=1))
    dice, barrier = random.Random(seed), Barrier(2)
    batches = [rig.enqueue(f"mia-{rig.name}", 12, cap)[0] for cap in (None, None, 40, 24)]

    def draw(possible: Sequence[Fate]) -> Fate:
        usual = [Fate.OK, Fate.SUCCEED if Fate.SUCCEED in possible else Fate.OK] * 4
        return dice.choice([*usual, *possible])

    def hand(number: int) -> None:
        barrier.wait(timeout=20)
        Session(rig, batches, seed * 2 + number).run(OPERATIONS)

    rig.world.draw = draw
    with capture_logs() as logged, ThreadPoolExecutor(2) as pool:
        list(pool.map(hand, range(2)))
    writing.finish(rig.services)

    assert [line for line in logged if line["event"] in {"group.split", "step.failed", "step.crashed"}] == []
    with database.transaction() as tx:
        assert [check.name for check in verify(tx).checks if not check.ok] == []
    with database.transaction() as tx:
        assert tx.execute(text(ACCEPTED)).scalar_one() > 0
