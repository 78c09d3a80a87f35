import json
import subprocess
import sys

import pytest

from tests.acceptance.nodes import ROOT
from tests.acceptance.world import World
from tests.fixtures import pictures
from tests.node import document

pytestmark = pytest.mark.acceptance

SHOP = "CREATE TABLE shop_order (id int PRIMARY KEY)"
FAILING = "\nwith Session(engine) as session, session.begin():" + (
    "\n    enqueue(session, {'token': 'rolled back'}, prepared)" + "\n    session.execute(text('SELECT 1 / 0'))\n"
)
TOKENS = "SELECT token, size FROM batch ORDER BY token"


@pytest.fixture
def shop(quiet_world: World) -> World:
    """Return a database in which a shop has a table of its own, and the photo that the document refers to."""
    quiet_world.query(SHOP)
    (quiet_world.folder / "photos").mkdir()
    pictures.reference(quiet_world.folder / "photos", "mug.png")
    return quiet_world


def test_the_documents_transaction_commits_the_batch_together_with_the_producers_own_row(shop: World) -> None:
    done = document.run(shop, "transaction")

    assert (done.stderr, done.stdout.split()[1:]) == ("", ["1", "4"])
    assert shop.query("SELECT id FROM shop_order") == [{"id": 4713}]
    assert shop.query(TOKENS) == [{"token": "order-4713", "size": 1}]


def test_a_transaction_that_rolls_back_leaves_no_batch(shop: World) -> None:
    done = document.run(shop, "transaction", code=FAILING)

    assert "division by zero" in done.stderr
    assert shop.query(TOKENS) == [{"token": "order-4713", "size": 1}]


def test_the_status_command_finds_a_batch_by_its_token(shop: World) -> None:
    document.run(shop, "transaction")

    found = subprocess.run(
        [sys.executable, "-m", "worker.cli", "status", "order-4713", "--json"],
        cwd=ROOT,
        env={**shop.settings, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert found.stderr == ""
    assert json.loads(found.stdout)["jobs"]["pending"] == 1
