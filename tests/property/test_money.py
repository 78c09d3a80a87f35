"""Whatever happens in whatever order, the ledger and the jobs are what an oracle with its own arithmetic says."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from structlog.testing import capture_logs

from tests.property.machine import Money
from worker.audit.verify import verify
from worker.core.db.session import Database

EXAMPLES, STEPS = int(os.environ.get("DARKROOM_TEST_MONEY_EXAMPLES", "60")), 50
LONGEST = 70
"""Steps that an example has at the most; on average there are more than ``STEPS``."""


@pytest.mark.timeout(1200)
def test_the_books_are_those_of_the_oracle_after_every_step(database: Database) -> None:
    class Here(Money):
        pass

    Here.database = database
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=LONGEST,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    with capture_logs():
        run_state_machine_as_test(Here, settings=how)

    assert Here.steps >= EXAMPLES * STEPS
    with database.transaction() as tx:
        assert [check.name for check in verify(tx).checks if not check.ok] == []
