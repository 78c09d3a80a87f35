"""Sealed books of a node with every kind of row, and attacks on them that are undone again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.audit.attack.attempts import Books
from tests.audit.test_tampering import task_of
from tests.fixtures import databases, provider
from tests.pipeline import node as nodes
from tests.pipeline.node import Clock, Node
from worker.accounts.queries import accounts, pools
from worker.audit import erasing, resolve, sealing
from worker.audit.queries.erasures import Target
from worker.audit.rules.dispute_decision import Signature
from worker.batches import control
from worker.core.db.changes import Author
from worker.node import maintenance

ANN = Signature(actor="ann", reason="the provider said so")

_ROWS = (
    """
    INSERT INTO generation_reading (id, generation_id, read_at, status)
    SELECT gen_random_uuid(), id, now(), 'running' FROM generation LIMIT 1""",
    """
    INSERT INTO catalog (id, name, recipe, recipe_hash, review, created_at, updated_at)
    VALUES (gen_random_uuid(), 'mugs', '{}', 'none', 'none', now(), now())""",
    """
    INSERT INTO hook (id, catalog_id, kind, target, secret, events, created_at)
    SELECT gen_random_uuid(), id, 'post', 'https://shop.example', 'whsec_c2l4dGVlbiBsZXR0ZXJzIGFuZCBtb3Jl',
        '{image.live}', now() FROM catalog""",
)
"""What a single node of these tests does not write by itself."""


@pytest.fixture(scope="module")
def books(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    """Yield books that are sealed to the present, with lost answers, a decision, a correction, caps and a hook."""
    with databases.clone(postgres, template) as url, provider.running() as sandbox:
        made = nodes.make(url, tmp_path_factory.mktemp("images"), Clock(), base_url=sandbox.base_url, key=sandbox.key)
        _work(made, sandbox)
        with databases.owner(url) as engine:
            yield Books(engine=engine)
        made.services.client.close()
        made.services.database.close()


def _work(made: Node, sandbox: provider.Provider) -> None:
    made.submit({"prompt": "1"}, {"prompt": "2"}, name="doubts")
    sandbox.script(("create", 1, "lost_reply"), ("create", 2, "lost_reply"))
    made.run_for(timedelta(seconds=0.2))
    made.clock.advance(timedelta(hours=2))
    made.run_until_quiet()
    first, second = (row["id"] for row in made.query("SELECT id FROM generation ORDER BY id"))
    resolve.adopt(made.services, first, task_of(first, sandbox), ANN)
    resolve.charged(
        made.services.database, second, 4, ANN, new_id=made.services.new_id, approve_above=None, now=made.clock()
    )
    well = made.submit({"prompt": "3", "label": "x"}, {"prompt": "4"}, name="well", owner="shop")
    made.run_until_quiet()
    author = Author(actor="ann", reason="budget", now=made.clock(), new_id=made.services.new_id)
    control.cap_batch(made.services.database, well.batch_id, 100, author, approve_above=None)
    control.cap_owner(made.services.database, "shop", 1000, author, approve_above=None)
    maintenance.run(made.services, "wallet")
    with made.services.database.transaction() as tx:
        other = accounts.ensure(tx, account_id=made.services.new_id(), name="second", now=made.clock())
        for account_id in (made.services.account_id, other):
            pools.set_pools(tx, account_id, ["both"])
    made.submit({"prompt": "6"}, name="spread", pool="both")
    erased = made.submit({"prompt": "5"}, name="erased")
    made.run_until_quiet()
    sealing.close_books(made.services.database, datetime.now(UTC))
    target = Target(subject=f"batch:{erased.batch_id}", batch_id=erased.batch_id)
    erasing.erase(made.services.database, made.services.store, target, author, approve_above=None)
    for statement in _ROWS:
        made.query(f"WITH done AS ({statement} RETURNING 1) SELECT * FROM done")
    for _ in range(2):
        sealing.close_books(made.services.database, datetime.now(UTC))
