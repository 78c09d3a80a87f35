"""Import a source of items into a catalog by its recipe, all of it at once; and remove a catalog."""

import hashlib
import json
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from worker.catalog.items import Item, ItemsRefused
from worker.catalog.publishing import ACTOR, tell
from worker.catalog.queries import catalogs, items, live, sql_source
from worker.catalog.queries import plans as catalog_plans
from worker.catalog.queries.catalogs import IncomingItem, Merge, Uses
from worker.catalog.queries.items import ItemCounts
from worker.catalog.rules.recipe import Recipe, recipe
from worker.catalog.template import PromptTemplate
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import Fault, UnfitError
from worker.core.rules.models_catalogue import MODELS, ModelSpec
from worker.core.rules.text import label
from worker.intake.manifest import Form, Row, read
from worker.storage.queries import references
from worker.storage.queries.references import ReferenceFacts

REMOVED_SHARE_MAX = 0.5
"""An import that removes more than this is taken for a damaged file unless `--remove-many` confirms it."""
_SMALL = 10
"""A catalog of so few items may lose any of them."""


class TooManyRemoved(DarkroomError):
    """The import would remove most of the catalog; nothing was changed."""

    error_code = "too_many_items_removed"

    def __init__(self, removed: int, items: int) -> None:
        """Keep both numbers."""
        super().__init__(removed, items)
        self.removed, self.items = removed, items

    def __str__(self) -> str:
        """Return what would happen and how to agree to it."""
        return (
            f"this import would remove {self.removed:,} of {self.items:,} items, so nothing was changed:"
            " check the source, or add --remove-many if this is intended"
        )


@dataclass(frozen=True, kw_only=True)
class Import:
    """What an import did."""

    catalog_id: UUID
    items: int
    is_new: bool
    has_new_recipe: bool
    merge: Merge
    kept: tuple[str, ...]
    """Fields of items that the recipe does not use."""

    @property
    def unchanged(self) -> int:
        """How many items are as they were."""
        merge = self.merge
        return self.items - len(merge.added) - len(merge.changed) - len(merge.returned)


def checked_name(name: str) -> str:
    """Return the name if a catalog may have it; raise UnfitError."""
    found = label(name)
    if found != found.strip():
        raise UnfitError("begins or ends with a space")
    return found


def import_items(
    database: Database,
    name: str,
    recipe: Recipe,
    items: Sequence[Item],
    facts: Iterable[ReferenceFacts],
    *,
    now: datetime,
    new_id: Callable[[], UUID],
    may_remove_many: bool = False,
) -> Import:
    """Import the recipe and the items into the catalog; raise TooManyRemoved before anything is changed.

    Items that are not among these are removed: they keep their images and come back with a later import.
    """
    with database.bulk_transaction() as tx:
        before = catalogs.by_name(tx, name, or_removed=True)
        recipe_hash = hash_of(recipe)
        catalog_id = catalogs.save(tx, catalog_id=new_id(), name=name, wanted=recipe, recipe_hash=recipe_hash, now=now)
        references.add(tx, facts, now=now)
        _check_references(references.find(tx, _hashes(items)), items, MODELS[recipe.model])
        was = catalogs.size(tx, catalog_id)
        merge = catalogs.compare(tx, catalog_id, (_incoming(item, new_id) for item in items))
        if not may_remove_many and was > _SMALL and len(merge.removed) > REMOVED_SHARE_MAX * was:
            raise TooManyRemoved(len(merge.removed), was)
        catalogs.merge(tx, catalog_id, now=now)
        # A shop has taken them off its shelves; they show their last image from now on.
        back = live.shown_by(tx, catalog_id, merge.returned) if merge.returned else []
        tell(tx, back, actor=ACTOR, reason="back in the catalog", now=now)
    return Import(
        catalog_id=catalog_id,
        items=len(items),
        is_new=before is None,
        has_new_recipe=before is not None and before.recipe_hash != recipe_hash,
        merge=merge,
        kept=_unused(recipe, items),
    )


def hash_of(recipe: Recipe) -> str:
    """Return the SHA-256 over the recipe, in hex."""
    return hashlib.sha256(json.dumps(recipe.as_json(), sort_keys=True).encode()).hexdigest()


def _incoming(item: Item, new_id: Callable[[], UUID]) -> IncomingItem:
    return IncomingItem(id=new_id(), sku=item.sku, fields=item.fields, references=item.references, position=item.line)


def _unused(recipe: Recipe, items: Iterable[Item]) -> tuple[str, ...]:
    used = {recipe.sku, *PromptTemplate(recipe.prompt).fields}
    return tuple(name for name in dict.fromkeys(name for item in items for name in item.fields) if name not in used)


def _hashes(items: Iterable[Item]) -> set[str]:
    return {sha256 for item in items for sha256 in item.references}


def _check_references(known: Mapping[str, ReferenceFacts], items: Iterable[Item], spec: ModelSpec) -> None:
    """Refuse the hash of a reference that is not stored, or that the recipe's model does not take."""
    found = ((item, _unusable(known.get(sha256), sha256, spec)) for item in items for sha256 in item.references)
    faults = tuple(
        Fault(line=item.line, key=item.sku, field="reference", reason=reason)
        for item, reason in found
        if reason is not None
    )
    if faults:
        raise ItemsRefused(faults)


def _unusable(facts: ReferenceFacts | None, sha256: str, spec: ModelSpec) -> str | None:
    if facts is None:
        return f"no reference sha256:{sha256} is stored"
    try:
        facts.check_fits(spec)
    except UnfitError as unfit:
        return unfit.reason
    return None


def from_file(path: Path | BinaryIO, *, form: Form | None, sku: str) -> Iterator[Row | Fault]:
    """Return the rows of a file; a CSV header must have the column of the SKU."""
    return read(path, form=form, required=sku)


def from_query(url: str, query: str) -> Iterator[Row | Fault]:
    """Yield the rows of a query, numbered from 1; raises SourceFailed when it is not answered."""
    for number, raw in enumerate(sql_source.rows(url, query), start=1):
        yield Row(line=number, raw={name: _plain(value) for name, value in raw.items()})


def _plain(value: object) -> object:
    """Return the value as JSON can hold it."""
    match value:
        case None | bool() | int() | float() | str() | list() | dict():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


class RecipeFaulty(DarkroomError):
    """A recipe that cannot be used; carries where it came from and every fault."""

    error_code = "recipe_invalid"
    exit_code = 2

    def __init__(self, name: str, faults: tuple[str, ...]) -> None:
        """Keep both; positional, so that the error pickles."""
        super().__init__(name, faults)
        self.name = name
        self.faults = faults

    def __str__(self) -> str:
        """List the faults, one on a line when there are several."""
        return f"{self.name}: " + "\n".join(self.faults)


def read_recipe(path: Path) -> Recipe:
    """Return the recipe that the file holds; raise RecipeFaulty with everything that is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeFaulty(str(path), (f"cannot be read: {error.strerror or error}",)) from error
    return recipe_of(content, str(path))


def recipe_of(content: bytes, name: str) -> Recipe:
    """Return the recipe that TOML holds; raise RecipeFaulty naming ``name`` with everything that is wrong with it."""
    try:
        raw = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise RecipeFaulty(name, ("is not UTF-8; save it as UTF-8",)) from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeFaulty(name, (f"is not TOML: {error}",)) from error
    return checked_recipe(raw, name)


def checked_recipe(raw: Mapping[str, object], name: str) -> Recipe:
    """Return the recipe that the mapping holds; raise RecipeFaulty naming ``name`` with all that is wrong with it."""
    found = recipe(raw)
    if isinstance(found, tuple):
        raise RecipeFaulty(name, tuple(_said(fault) for fault in found))
    try:
        PromptTemplate(found.prompt)
    except UnfitError as unfit:
        raise RecipeFaulty(name, (f"prompt: {unfit.reason}",)) from unfit
    return found


def _said(fault: Fault) -> str:
    permitted = f"; permitted: {', '.join(fault.permitted)}" if fault.permitted else ""
    return f"{fault.field}: {fault.reason}{permitted}"


_REASON = "the catalog was removed"


class CatalogInUse(DarkroomError):
    """A schedule plans the catalog, or images of it are being rendered; nothing was changed."""

    error_code = "catalog_in_use"

    def __init__(self, name: str, uses: Uses) -> None:
        """Keep both."""
        super().__init__(name, uses)
        self.name, self.uses = name, uses

    def __str__(self) -> str:
        """Name what uses it, with the command for each."""
        planned = [f"`darkroom schedule remove {shlex.quote(each)}`" for each in self.uses.schedules]
        rendered = [f"`darkroom cancel {each}`" for each in self.uses.batches]
        reasons = [
            *([f"a schedule plans it ({', '.join(planned)} first)"] if planned else []),
            *([f"images of it are being rendered (wait, or {', '.join(rendered)})"] if rendered else []),
        ]
        return f"catalog {self.name!r} was not removed: {'; '.join(reasons)}"


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What the removal of a catalog changes, or has changed."""

    catalog_id: UUID
    name: str
    counts: ItemCounts
    """Its items before."""
    plans: int
    """Open plans that are refused with it."""


def preview_removal(database: Database, catalog_id: UUID, name: str) -> Removal:
    """Return what a removal would change; raise CatalogInUse."""
    with database.transaction() as tx:
        used = _expect_unused(catalogs.uses(tx, catalog_id), name)
        counts = items.count_by_state(tx, catalog_id)
    return Removal(catalog_id=catalog_id, name=name, counts=counts, plans=len(used.plans))


def remove(database: Database, catalog_id: UUID, name: str, *, by: str, now: datetime) -> Removal:
    """Remove the catalog and refuse its open plans; raise CatalogInUse, with nothing changed.

    Locks the catalog, under which a plan is applied and an import is merged.
    """
    with database.transaction() as tx:
        catalogs.lock_only(tx, catalog_id)
        used = _expect_unused(catalogs.uses(tx, catalog_id), name)
        counts = items.count_by_state(tx, catalog_id)
        for plan_id in used.plans:
            catalog_plans.refuse(tx, plan_id, by=by, reason=_REASON, now=now)
        catalogs.mark_removed(tx, catalog_id, by=by, now=now)
    return Removal(catalog_id=catalog_id, name=name, counts=counts, plans=len(used.plans))


def _expect_unused(found: Uses, name: str) -> Uses:
    if found.schedules or found.batches:
        raise CatalogInUse(name, found)
    return found
