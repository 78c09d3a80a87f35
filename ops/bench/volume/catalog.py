"""How long a catalog of 50,000 items takes: imported, planned and applied, whole and with one item in a hundred new."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from worker import wiring
from worker.accounts.queries import accounts
from worker.catalog import applying, importing, planning
from worker.catalog.items import prepare
from worker.catalog.planning import Plan
from worker.catalog.queries import catalogs
from worker.core.db.session import Database
from worker.intake.manifest import Row
from worker.intake.reference_store import ReferenceStore

ITEMS, QUICK_ITEMS = 50_000, 5_000
CHANGED_SHARE = 100
"""One item of so many is another one in the second round."""
RECIPE = {"prompt": "Studio photograph of a {{ colour }} {{ name }} on a pale oak table", "review": "none"}
# As if all had been rendered and had gone live: what a catalog is on every day but its first.
_AS_IF_LIVE = (
    "UPDATE catalog_render SET state = 'live', rendered_at = now()",
    "UPDATE catalog_item i SET live_render_id = r.id FROM catalog_render r WHERE r.item_id = i.id",
    "ANALYZE",
)


@dataclass(frozen=True, kw_only=True)
class _Took:
    """Seconds of one round."""

    import_s: float
    plan_s: float
    apply_s: float
    renders: int


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Import, plan and apply twice, with the same code as the commands; nothing is rendered in between."""
    items = QUICK_ITEMS if is_quick else ITEMS
    with ground.sandbox() as provider, node.darkroom(place, provider, name="catalog", broker=6) as room:
        wiring.clock.follow(room.database)
        with room.database.transaction() as tx:
            account_id = accounts.ensure(tx, account_id=wiring.new_id(), name="bench", now=wiring.clock())
        first = _round(room.database, account_id, items, changed=False)
        with room.database.bulk_transaction() as tx:
            _let_all_be_live(tx.execute)
        second = _round(room.database, account_id, items, changed=True)
    assert (first.renders, second.renders) == (items, items // CHANGED_SHARE)
    rounds = {"all new": first, f"1 in {CHANGED_SHARE} changed": second}
    return Finding(
        name="catalog",
        title="Catalog refresh",
        method=(
            f"A catalog of {items:,} items without references: rows checked and imported, planned and the plan saved,"
            " the plan applied. Once with every item new, once with one in a hundred changed since all went live."
        ),
        columns=("", "to render", "import s", "plan s", "apply s"),
        rows=[
            (name, f"{took.renders:,}", f"{took.import_s:.1f}", f"{took.plan_s:.1f}", f"{took.apply_s:.1f}")
            for name, took in rounds.items()
        ],
        figures={name: vars(took) for name, took in rounds.items()},
    )


def _let_all_be_live(execute: Callable[..., object]) -> None:
    for statement in _AS_IF_LIVE:
        execute(text(statement))


def _round(database: Database, account_id: UUID, items: int, *, changed: bool) -> _Took:
    recipe = importing.checked_recipe(RECIPE, "recipe")
    began = time.perf_counter()
    checked = prepare(_rows(items, changed=changed), recipe, base=None, reference_store=ReferenceStore(None))
    importing.import_items(database, "bench", recipe, checked, (), now=wiring.clock(), new_id=wiring.new_id)
    imported = time.perf_counter()
    plan = _planned(database)
    planned = time.perf_counter()
    applying.apply(database, plan.id, account_id=account_id, now=wiring.clock(), new_id=wiring.new_id)
    applied = time.perf_counter()
    return _Took(
        import_s=imported - began,
        plan_s=planned - imported,
        apply_s=applied - planned,
        renders=len(plan.outline.renders),
    )


def _planned(database: Database) -> Plan:
    with database.bulk_transaction() as tx:
        catalog = catalogs.by_name(tx, "bench")
        assert catalog is not None
        made = planning.make(tx, catalog, plan_id=wiring.new_id(), by="bench", now=wiring.clock(), approve_above=None)
        planning.save(tx, made)
    return made


def _rows(items: int, *, changed: bool) -> Iterator[Row]:
    for number in range(items):
        colour = "navy" if changed and number % CHANGED_SHARE == 0 else "blue"
        yield Row(line=number + 1, raw={"sku": f"sku-{number:06d}", "name": f"mug {number}", "colour": colour})
