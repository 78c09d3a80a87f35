"""Catalogs in the database, and the merge of an import into their items."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Cursor
from psycopg.types.json import Jsonb
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from worker.catalog.rules.recipe import Recipe, recipe
from worker.core.rules.errors import DarkroomError


class RecipeUnknown(DarkroomError):
    """A stored recipe that this version cannot read."""

    error_code = "recipe_unknown"

    def __init__(self, catalog: str, reason: str) -> None:
        """Keep whose it is and what is wrong."""
        super().__init__(catalog, reason)
        self.catalog, self.reason = catalog, reason

    def __str__(self) -> str:
        """Return the message, with what to do."""
        return f"the recipe of catalog {self.catalog!r} cannot be used ({self.reason}): import it with a new one"


@dataclass(frozen=True, kw_only=True)
class CatalogRow:
    """A catalog with its recipe."""

    id: UUID
    name: str
    recipe: Recipe
    recipe_hash: str
    created_at: datetime
    updated_at: datetime
    removed_at: datetime | None
    """When it was removed; its images and its history stay, and an import under its name brings it back."""
    removed_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingItem:
    """One item of an import."""

    id: UUID
    """Its id if it is new."""
    sku: str
    fields: Mapping[str, Any]
    references: tuple[str, ...]
    position: int


@dataclass(frozen=True, kw_only=True)
class Merge:
    """What an import changes, in SKUs; the rest stays as it is."""

    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]
    returned: Sequence[str]
    """Removed by an earlier import, and here again."""


_COLUMNS = "id, name, recipe, recipe_hash, created_at, updated_at, removed_at, removed_by"


def by_name(tx: Connection, name: str, *, or_removed: bool = False) -> CatalogRow | None:
    """Return the catalog of that name; one that was removed only where ``or_removed`` is set."""
    found = _one(tx, f"SELECT {_COLUMNS} FROM catalog WHERE name = :key", name)
    return None if found is None or (found.removed_at is not None and not or_removed) else found


def by_id(tx: Connection, catalog_id: UUID) -> CatalogRow:
    """Return the catalog, also when it was removed."""
    found = _one(tx, f"SELECT {_COLUMNS} FROM catalog WHERE id = :key", catalog_id)
    if found is None:
        raise LookupError(catalog_id)
    return found


def name_of(tx: Connection, catalog_id: UUID) -> str:
    """Return the catalog's name."""
    name: str = tx.execute(text("SELECT name FROM catalog WHERE id = :id"), {"id": catalog_id}).scalar_one()
    return name


def lock(tx: Connection, catalog_id: UUID) -> CatalogRow:
    """Lock the catalog against every other change of it; taken before any other lock."""
    found = _one(tx, f"SELECT {_COLUMNS} FROM catalog WHERE id = :key FOR NO KEY UPDATE", catalog_id)
    if found is None:
        raise LookupError(catalog_id)
    return found


def lock_only(tx: Connection, catalog_id: UUID) -> None:
    """Lock the catalog as ``lock`` does, whether or not its recipe can be read."""
    tx.execute(text("SELECT 1 FROM catalog WHERE id = :key FOR NO KEY UPDATE"), {"key": catalog_id})


def try_lock_only(tx: Connection, catalog_id: UUID) -> bool:
    """Lock the catalog, whether or not its recipe can be read; False when another transaction holds the lock."""
    query = "SELECT 1 FROM catalog WHERE id = :key FOR NO KEY UPDATE SKIP LOCKED"
    return tx.execute(text(query), {"key": catalog_id}).one_or_none() is not None


def all_by_name(tx: Connection) -> list[CatalogRow]:
    """Return all catalogs that are not removed, by name."""
    return [_row(r) for r in tx.execute(text(f"SELECT {_COLUMNS} FROM catalog WHERE removed_at IS NULL ORDER BY name"))]


def names(tx: Connection) -> list[str]:
    """Return the names of all catalogs that are not removed, whatever is in their recipes."""
    return list(tx.execute(text("SELECT name FROM catalog WHERE removed_at IS NULL ORDER BY name")).scalars())


_SAVE = text("""
    INSERT INTO catalog (id, name, recipe, recipe_hash, review, credit_cap, approve_above_credits,
                         approve_above_share, created_at, updated_at)
    VALUES (:id, :name, :recipe, :recipe_hash, :review, :credit_cap, :approve_above_credits, :approve_above_share,
            :now, :now)
    ON CONFLICT (name) DO UPDATE SET recipe = excluded.recipe, recipe_hash = excluded.recipe_hash,
        review = excluded.review, credit_cap = excluded.credit_cap,
        approve_above_credits = excluded.approve_above_credits, approve_above_share = excluded.approve_above_share,
        updated_at = excluded.updated_at, removed_at = NULL, removed_by = NULL
    RETURNING id""").bindparams(bindparam("recipe", type_=JSONB))


def save(tx: Connection, *, catalog_id: UUID, name: str, wanted: Recipe, recipe_hash: str, now: datetime) -> UUID:
    """Make the catalog, or give it another recipe; locks it, and gives its id."""
    found: UUID = tx.execute(
        _SAVE,
        {
            "id": catalog_id,
            "name": name,
            "recipe": wanted.as_json(),
            "recipe_hash": recipe_hash,
            "review": wanted.review,
            "credit_cap": wanted.credit_cap,
            "approve_above_credits": wanted.approve_above_credits,
            "approve_above_share": wanted.approve_above_share,
            "now": now,
        },
    ).scalar_one()
    return found


_INCOMING = """
    CREATE TEMPORARY TABLE incoming (
        id uuid NOT NULL, sku text NOT NULL, fields jsonb NOT NULL, reference_hash text,
        further_references text[], position bigint NOT NULL
    ) ON COMMIT DROP"""

_COPY = "COPY incoming (id, sku, fields, reference_hash, further_references, position) FROM STDIN"

_COMPARE = text("""
    SELECT coalesce(n.sku, i.sku) AS sku,
           CASE WHEN i.id IS NULL THEN 'added' WHEN n.sku IS NULL THEN 'removed'
                WHEN i.removed_at IS NOT NULL THEN 'returned' ELSE 'changed' END AS fate
    FROM incoming n
    FULL JOIN (SELECT * FROM catalog_item WHERE catalog_id = :id) i ON i.sku = n.sku
    WHERE i.id IS NULL OR (n.sku IS NULL AND i.removed_at IS NULL)
       OR (n.sku IS NOT NULL AND (i.removed_at IS NOT NULL OR i.fields <> n.fields
                                  OR i.reference_hash IS DISTINCT FROM n.reference_hash
                                  OR i.further_references IS DISTINCT FROM n.further_references))
    ORDER BY 1""")


def compare(tx: Connection, catalog_id: UUID, items: Iterable[IncomingItem]) -> Merge:
    """Load the items into a temporary table for ``merge`` in the same transaction, and return the differences."""
    driver = tx.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection is closed")
    cursor: Cursor[tuple[object, ...]]
    with driver.cursor() as cursor:
        cursor.execute(_INCOMING)
        with cursor.copy(_COPY) as copy:
            for each in items:
                first, *further = each.references or (None,)
                copy.write_row((each.id, each.sku, Jsonb(dict(each.fields)), first, further or None, each.position))
        cursor.execute("ANALYZE incoming")
    fates: dict[str, list[str]] = {"added": [], "changed": [], "removed": [], "returned": []}
    for row in tx.execute(_COMPARE, {"id": catalog_id}):
        fates[row.fate].append(row.sku)
    return Merge(**fates)


_ADD = text("""
    INSERT INTO catalog_item (id, catalog_id, sku, fields, reference_hash, further_references, position, added_at,
                              changed_at)
    SELECT id, :id, sku, fields, reference_hash, further_references, position, :now, :now FROM incoming
    ON CONFLICT (catalog_id, sku) DO NOTHING""")

_CHANGE = text("""
    UPDATE catalog_item i SET fields = n.fields, reference_hash = n.reference_hash,
        further_references = n.further_references, position = n.position,
        removed_at = NULL, changed_at = CASE
            WHEN i.removed_at IS NOT NULL OR i.fields <> n.fields
                 OR i.reference_hash IS DISTINCT FROM n.reference_hash
                 OR i.further_references IS DISTINCT FROM n.further_references THEN CAST(:now AS timestamptz)
            ELSE i.changed_at END
    FROM incoming n
    WHERE i.catalog_id = :id AND i.sku = n.sku
      AND (i.removed_at IS NOT NULL OR i.fields <> n.fields OR i.position <> n.position
           OR i.reference_hash IS DISTINCT FROM n.reference_hash
           OR i.further_references IS DISTINCT FROM n.further_references)""")

_REMOVE = text("""
    UPDATE catalog_item SET removed_at = :now
    WHERE catalog_id = :id AND removed_at IS NULL AND sku NOT IN (SELECT sku FROM incoming)""")


def merge(tx: Connection, catalog_id: UUID, *, now: datetime) -> None:
    """Replace the catalog's items by those that ``compare`` loaded; removed items keep their images."""
    values = {"id": catalog_id, "now": now}
    for statement in (_ADD, _CHANGE, _REMOVE):
        tx.execute(statement, values)


def size(tx: Connection, catalog_id: UUID) -> int:
    """Count the items that are not removed."""
    query = "SELECT count(*) FROM catalog_item WHERE catalog_id = :id AND removed_at IS NULL"
    count: int = tx.execute(text(query), {"id": catalog_id}).scalar_one()
    return count


def _one(tx: Connection, query: str, key: object) -> CatalogRow | None:
    row = tx.execute(text(query), {"key": key}).one_or_none()
    return None if row is None else _row(row)


def _row(row: Any) -> CatalogRow:
    found = recipe(row.recipe)
    if isinstance(found, tuple):
        raise RecipeUnknown(row.name, str(found[0]))
    return CatalogRow(
        id=row.id,
        name=row.name,
        recipe=found,
        recipe_hash=row.recipe_hash,
        created_at=row.created_at,
        updated_at=row.updated_at,
        removed_at=row.removed_at,
        removed_by=row.removed_by,
    )


@dataclass(frozen=True, kw_only=True)
class Uses:
    """What plans or renders a catalog at this moment."""

    schedules: Sequence[str]
    """The names of schedules that plan it."""
    batches: Sequence[UUID]
    """Batches that render images of it."""
    plans: Sequence[UUID]
    """Plans that are neither applied nor refused."""


_SCHEDULES = text("SELECT name FROM schedule WHERE catalog_id = :id AND removed_at IS NULL ORDER BY name")

_BATCHES = text("""
    SELECT DISTINCT j.batch_id
    FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id JOIN job j ON j.id = r.job_id
    WHERE i.catalog_id = :id AND j.state IN ('pending', 'active') ORDER BY 1""")

_PLANS = text("""
    SELECT id FROM catalog_plan WHERE catalog_id = :id AND applied_at IS NULL AND refused_at IS NULL ORDER BY id""")


def uses(tx: Connection, catalog_id: UUID) -> Uses:
    """Return what uses the catalog; exact while the catalog is locked."""
    key = {"id": catalog_id}
    return Uses(
        schedules=tx.execute(_SCHEDULES, key).scalars().all(),
        batches=tx.execute(_BATCHES, key).scalars().all(),
        plans=tx.execute(_PLANS, key).scalars().all(),
    )


def mark_removed(tx: Connection, catalog_id: UUID, *, by: str, now: datetime) -> None:
    """Mark the catalog and its items as removed; images, history and ledger stay as they are."""
    values = {"id": catalog_id, "by": by, "now": now}
    items = "UPDATE catalog_item SET removed_at = :now WHERE catalog_id = :id AND removed_at IS NULL"
    tx.execute(text(items), values)
    tx.execute(text("UPDATE catalog SET removed_at = :now, removed_by = :by WHERE id = :id"), values)
