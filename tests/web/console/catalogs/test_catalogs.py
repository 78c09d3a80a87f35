"""The page of catalogs says how items stand and what waits for a person."""

from datetime import UTC, datetime

from sqlalchemy import text
from uuid_utils.compat import uuid7

from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web
from worker.catalog import importing
from worker.catalog.queries import catalogs


def made(web: Web) -> None:
    """Leave a catalog of two items with a plan that waits for approval."""
    recipe = importing.checked_recipe({"prompt": "A {{ name }}", "model": "qwen-image"}, "recipe.toml")
    now = datetime.now(UTC)
    with web.context.database.engine.begin() as tx:
        catalog = catalogs.save(tx, catalog_id=uuid7(), name="shop", wanted=recipe, recipe_hash="h", now=now)
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(
            text("""
                INSERT INTO catalog_plan (id, catalog_id, content_hash, document, price, counts, needs_approval,
                    made_by, made_at)
                VALUES (:id, :catalog, 'h', '{"renders": [1, 2]}', 2000000003, '{}', true, 'ann', now())"""),
            {"id": uuid7(), "catalog": catalog},
        )


def test_a_catalog_says_how_its_items_stand_and_what_its_plans_cost(web: Web) -> None:
    made(web)

    said = text_of(get(signed_in(web, "viewer"), web, "/catalogs"))

    assert "shop 0 items" in said
    assert "ann 2 2,000,000,003 waits for approval" in said


def test_without_a_catalog_the_page_says_how_to_make_one(web: Web) -> None:
    assert "An import of a file with items makes one" in text_of(get(signed_in(web, "viewer"), web, "/catalogs"))
