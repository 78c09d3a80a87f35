"""Hooks of catalogs that were there become subscriptions to images, and what they are owed is delivered."""

from base64 import b64encode

from alembic import command
from sqlalchemy import create_engine, text

from tests.fixtures.databases import alembic_config
from worker.audit.queries.entry_proofs import SETTINGS_PROOFS
from worker.hooks.queries import hooks

BEFORE = "0054"
SECRET = "sixteen letters and more"
ROWS = """
    INSERT INTO catalog (id, name, recipe, recipe_hash, review, created_at, updated_at)
    VALUES (gen_random_uuid(), 'mugs', '{}', 'none', 'none', now(), now());
    INSERT INTO hook (id, catalog_id, kind, target, secret, created_at)
    SELECT gen_random_uuid(), id, 'post', 'https://shop.example', 'sixteen letters and more', now() FROM catalog;
    INSERT INTO hook (id, catalog_id, kind, target, created_at)
    SELECT gen_random_uuid(), id, 'command', 'publish', now() FROM catalog;
    INSERT INTO hook_delivery (id, hook_id, payload, created_at, due_at, attempts)
    SELECT gen_random_uuid(), id, '{"event": "live", "catalog": "mugs", "items": []}', now(), now(), 3 FROM hook"""


def test_hooks_and_what_they_are_owed_are_carried_over_and_back(empty_database_url: str) -> None:
    config, engine = alembic_config(empty_database_url), create_engine(empty_database_url)
    command.upgrade(config, BEFORE)
    with engine.begin() as tx:
        tx.execute(text(ROWS.replace(":", "\\:")))

    command.upgrade(config, "head")
    with engine.begin() as tx:
        found = hooks.all_(tx)
        secrets = tx.execute(text("SELECT secret FROM hook ORDER BY secret")).scalars().all()
        owed = tx.execute(
            text("SELECT e.type, e.data, d.failures FROM hook_delivery d JOIN event e ON e.id = d.event_id")
        ).all()
    command.downgrade(config, BEFORE)
    with engine.begin() as tx:
        payloads = tx.execute(text("SELECT payload FROM hook_delivery")).scalars().all()
    command.upgrade(config, "head")

    assert {(each.target, each.events, each.catalog, each.waiting) for each in found} == {
        ("https://shop.example", ("image.live",), "mugs", 1),
        ("publish", ("image.live",), "mugs", 1),
    }
    assert secrets == ["whsec_" + b64encode(SECRET.encode()).decode(), None]
    assert [tuple(each) for each in owed] == [("image.live", {"catalog": "mugs", "items": []}, 1)] * 2
    assert payloads == [{"event": "live", "catalog": "mugs", "items": []}] * 2
    with engine.begin() as tx:
        assert tx.execute(text("SELECT count(*) FROM hook WHERE events = '{image.live}'")).scalar() == 2


def test_the_proof_of_settings_agrees_with_hooks_that_were_carried_over(empty_database_url: str) -> None:
    config, engine = alembic_config(empty_database_url), create_engine(empty_database_url)
    command.upgrade(config, BEFORE)
    with engine.begin() as tx:
        tx.execute(text(ROWS.replace(":", "\\:")))

    command.upgrade(config, "head")

    with engine.begin() as tx:
        assert [row for proof in SETTINGS_PROOFS for row in tx.execute(text(proof.query))] == []
