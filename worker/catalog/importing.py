"""An import makes a catalog's items those of its source, all at once, and says what that changed."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.catalog.going_live import tell
from worker.catalog.harvest import ACTOR
from worker.catalog.items import Item, ItemsRefused
from worker.catalog.queries import catalogs, live
from worker.catalog.queries.catalogs import IncomingItem, Merge
from worker.catalog.rules.recipe import Recipe
from worker.catalog.template import PromptTemplate
from worker.core.db.session import Database
from worker.core.rules.fault import Fault, UnfitError
from worker.core.rules.models_catalogue import MODELS, ModelSpec
from worker.core.rules.plain_text import label
from worker.storage.queries import references
from worker.storage.queries.references import ReferenceFacts

REMOVED_SHARE_MAX = 0.5
"""An import that removes more than this is taken for a damaged file unless somebody says that it is meant."""
_SMALL = 10
"""A catalog of so few items may lose any of them."""


class TooManyRemoved(Exception):
    """The import would remove most of the catalog; nothing was changed."""

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
    """Make the catalog what the recipe and the items say; raise TooManyRemoved before anything is changed.

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
        tell(tx, back, actor=ACTOR, reason="back in the catalog", now=now, new_id=new_id)
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
