"""Every line checked, every reference in the store, nothing in the database yet, and no credit held."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from worker.core.rules.fault import Fault, UnfitError
from worker.core.rules.models_catalogue import MODELS
from worker.intake.manifest import CheckedRequest, Files, Row, checked
from worker.intake.reference_store import ReferenceStore, examined
from worker.intake.request_spool import FaultSpool, Spool
from worker.intake.rules.references import column
from worker.intake.rules.request import JobRequest
from worker.storage.queries.references import ReferenceFacts

_KEPT_MAX = 100
"""Lines of JSON may have any number of names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Referring:
    """How a batch names one reference."""

    line: int
    """The first line that names it."""
    strictest: JobRequest
    """The request whose model takes the smallest ones."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a batch will be made of, and what is wrong with the lines that it cannot have."""

    spool: Spool
    credits: int
    """The price of one generation of each job."""
    faults: FaultSpool
    references: dict[str, ReferenceFacts]
    models: set[str]
    """What the jobs are rendered with."""
    referring: dict[str, Referring]
    """How each reference is named."""
    kept: tuple[str, ...]
    """Columns that no line uses: kept, and handed back in the results. The first hundred."""
    store: UUID | None
    """The identity of the store that has the references; None: no reference was stored."""

    @property
    def jobs(self) -> int:
        """How many jobs the batch will have."""
        return self.spool.count


def prepare(
    rows: Iterable[Row | Fault],
    *,
    base: Files,
    reference_store: ReferenceStore,
    extra: Collection[str] = frozenset(),
    progress: Callable[[int], None] = lambda _: None,
) -> Prepared:
    """Check all rows; ``base`` says where paths lead, None where no path is permitted.

    Columns in ``extra`` are kept although they look like others.
    ``progress`` is told the number of rows looked at so far.
    """
    intake = _Intake(reference_store)
    for count, item in enumerate(examined(checked(rows, base=base, extra=extra), reference_store), start=1):
        intake.take(item)
        progress(count)
    if intake.spool.count == 0 and not intake.faults:
        intake.faults.add(Fault(line=0, field="requests", reason="there is no request"))
    return intake.done()


class _Intake:
    """What has come together so far."""

    def __init__(self, reference_store: ReferenceStore) -> None:
        self.spool = Spool(reference_store.spool)
        self.faults = FaultSpool(reference_store.spool)
        self._reference_store = reference_store
        self._credits = 0
        self._models: set[str] = set()
        self._referring: dict[str, Referring] = {}
        self._kept: dict[str, None] = {}

    def take(self, item: CheckedRequest | Fault) -> None:
        if isinstance(item, Fault):
            return self.faults.add(item)
        taken = [self._taken(item, place) for place in range(len(item.references))]
        faults = [each for each in taken if isinstance(each, Fault)]
        for fault in faults:
            self.faults.add(fault)
        if faults:
            return None
        references = [each for each in taken if isinstance(each, str)]
        for reference in references:
            self._refer(reference, item.request)
        self._models.add(item.request.model)
        self._credits += MODELS[item.request.model].credits
        self._keep(item.request.metadata)
        return self.spool.add(item.request, references)

    def _keep(self, columns: Iterable[str]) -> None:
        if len(self._kept) < _KEPT_MAX:
            self._kept.update(dict.fromkeys(columns))

    def _taken(self, item: CheckedRequest, place: int) -> str | Fault:
        """Return the hash of one reference, which is within the limits of the model."""
        try:
            return self._reference_store.take_for(MODELS[item.request.model], item.references[place])
        except UnfitError as unfit:
            return Fault(
                line=item.request.line,
                key=item.request.key,
                field=column(place),
                reason=unfit.reason,
                permitted=unfit.permitted,
            )

    def _refer(self, reference: str, request: JobRequest) -> None:
        before = self._referring.get(reference)
        if before is None:
            self._referring[reference] = Referring(line=request.line, strictest=request)
        elif _limit(request) < _limit(before.strictest):
            self._referring[reference] = replace(before, strictest=request)

    def done(self) -> Prepared:
        return Prepared(
            spool=self.spool,
            credits=self._credits,
            faults=self.faults,
            references=self._reference_store.facts,
            models=self._models,
            referring=self._referring,
            kept=tuple(self._kept)[:_KEPT_MAX],
            store=self._reference_store.store_identity,
        )


def _limit(request: JobRequest) -> int:
    return MODELS[request.model].reference_max_bytes
