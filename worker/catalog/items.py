"""Rows become items: every prompt made, every reference in the store, every fault found before anything is written."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from worker.catalog.rules.recipe import Recipe
from worker.catalog.template import PromptTemplate
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import Fault, UnfitError
from worker.core.rules.models_catalogue import MODELS
from worker.intake.manifest import CheckedRequest, Files, Row, checked
from worker.intake.reference_store import ReferenceStore, examined
from worker.intake.rules import column_names
from worker.intake.rules import references as rules_references
from worker.intake.rules.column_names import metadata


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One item that every check has passed."""

    sku: str
    fields: Mapping[str, Any]
    references: tuple[str, ...]
    """The hashes of its reference images, in their order."""
    line: int


class ItemsRefused(DarkroomError):
    """Some rows cannot be items; nothing was written."""

    error_code = "items_invalid"

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        """Keep every fault."""
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        """List the first faults, one on a line."""
        shown = "\n".join(str(fault) for fault in self.faults[:50])
        rest = len(self.faults) - 50
        return f"{shown}\n... and {rest:,} more" if rest > 0 else shown


def prepare(
    rows: Iterable[Row | Fault],
    recipe: Recipe,
    *,
    base: Files,
    reference_store: ReferenceStore,
    extra: Collection[str] = frozenset(),
    progress: Callable[[int], None] = lambda _: None,
) -> list[Item]:
    """Return all items, their references in its store; raise ItemsRefused when there is any fault.

    ``base`` is the folder that paths of references are relative to, or files that came with the rows by their names;
    None where neither is permitted.
    Columns in ``extra`` are the item's own although they look like others.
    """
    intake = _Intake(recipe, reference_store, extra)
    for count, found in enumerate(examined(checked(intake.as_requests(rows), base=base), reference_store), start=1):
        intake.take(found)
        progress(count)
    if not intake.items and not intake.faults:
        intake.faults.append(Fault(line=0, field="items", reason="there is no item"))
    if intake.faults:
        raise ItemsRefused(tuple(intake.faults))
    return intake.items


class _Intake:
    """Lends every check of a manifest's line to an item: it is looked at as the job that it would become."""

    def __init__(self, recipe: Recipe, reference_store: ReferenceStore, extra: Collection[str]) -> None:
        self.items: list[Item] = []
        self.faults: list[Fault] = []
        self._recipe = recipe
        self._reference_store = reference_store
        self._template = PromptTemplate(recipe.prompt)
        self._fields: dict[int, Mapping[str, Any]] = {}
        self._spec = MODELS[recipe.model]
        columns = rules_references.columns(self._spec.max_references)
        self._columns = {name: name.replace("reference", recipe.reference) for name in columns}
        self._fine = {recipe.sku, *self._columns.values(), *self._template.fields, *extra}

    def as_requests(self, rows: Iterable[Row | Fault]) -> Iterator[Row | Fault]:
        for row in rows:
            yield row if isinstance(row, Fault) else self._request(row)

    def take(self, found: CheckedRequest | Fault) -> None:
        if isinstance(found, Fault):
            self.faults.append(self._renamed(found))
            return
        request = found.request
        try:
            references = tuple(self._reference_store.take_for(self._spec, source) for source in found.references)
        except UnfitError as unfit:
            self.faults.append(self._fault(request.line, request.key, self._recipe.reference, unfit))
            return
        fields = self._fields.pop(request.line)
        self.items.append(Item(sku=request.key, fields=fields, references=references, line=request.line))

    def _request(self, row: Row) -> Row | Fault:
        recipe, raw = self._recipe, row.raw
        sku = raw.get(recipe.sku)
        if sku is None or sku == "":
            return Fault(line=row.line, field=recipe.sku, reason="is missing: every item needs its own")
        try:
            fields = metadata({name: value for name, value in raw.items() if name not in self._columns.values()})
            prompt = self._template.prompt(fields)
        except UnfitError as unfit:
            return self._fault(row.line, str(sku), "prompt", unfit)
        if misnamed := self._misnamed(raw):
            return self._fault(row.line, str(sku), *misnamed)
        self._fields[row.line] = fields
        references = {name: raw.get(column) for name, column in self._columns.items()}
        asked = {"key": sku, "prompt": prompt, "model": recipe.model, **references, **recipe.params}
        return Row(line=row.line, raw=asked)

    def _misnamed(self, raw: Mapping[str, object]) -> tuple[str, UnfitError] | None:
        """Find a column that is meant for the reference or for a param, and that no prompt uses.

        Unlike a line of a manifest an item may be described by a size or a format: params are those of the recipe.
        """
        for name, value in raw.items():
            if name in self._fine or value in (None, "") or column_names.is_own(name):
                continue
            if name in self._spec.param_names:
                return name, UnfitError("is a parameter: it belongs into the recipe, below [params]")
            meant = column_names.misspelt_reference(name, self._spec, self._recipe.reference)
            if meant is not None and raw.get(self._recipe.reference) in (None, ""):
                return name, meant
        return None

    def _renamed(self, fault: Fault) -> Fault:
        """Name the columns as the items have them, and not as a job has them."""
        names = {"key": self._recipe.sku, **self._columns}
        self._fields.pop(fault.line, None)
        return replace(fault, field=names.get(fault.field, fault.field))

    @staticmethod
    def _fault(line: int, sku: str, field: str, unfit: UnfitError) -> Fault:
        return Fault(line=line, key=sku, field=field, reason=unfit.reason, permitted=unfit.permitted)
