"""Every line checked, every reference in the store, nothing in the database yet, and no credit held."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from worker.db.references import ReferenceFacts
from worker.domain.fault import Fault, UnfitError
from worker.domain.model_spec import MODELS
from worker.intake.ahead import examined
from worker.intake.faults import FaultSpool
from worker.intake.library import Library
from worker.intake.spool import Spool
from worker.manifest import CheckedRequest, Row, checked


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a batch will be made of, and what is wrong with the lines that it cannot have."""

    spool: Spool
    credits: int
    """The price of one generation of each job."""
    faults: FaultSpool
    references: dict[str, ReferenceFacts]
    referring_lines: dict[str, int]
    """The first line that names each reference."""
    store: UUID | None
    """The identity of the store that has the references; None: no reference was stored."""

    @property
    def jobs(self) -> int:
        """How many jobs the batch will have."""
        return self.spool.count


def prepare(
    rows: Iterable[Row | Fault],
    *,
    base: Path | None,
    library: Library,
    progress: Callable[[int], None] = lambda _: None,
) -> Prepared:
    """Check all rows; ``base`` is the folder that paths are relative to, None where no path is permitted.

    ``progress`` is told the number of rows looked at so far.
    """
    intake = _Intake(library)
    for count, item in enumerate(examined(checked(rows, base=base), library), start=1):
        intake.take(item)
        progress(count)
    if intake.spool.count == 0 and not intake.faults:
        intake.faults.add(Fault(line=0, field="requests", reason="there is not one request"))
    return intake.done()


class _Intake:
    """What has come together so far."""

    def __init__(self, library: Library) -> None:
        self.spool = Spool(library.spool)
        self.faults = FaultSpool(library.spool)
        self._library = library
        self._credits = 0
        self._lines: dict[str, int] = {}

    def take(self, item: CheckedRequest | Fault) -> None:
        if isinstance(item, Fault):
            return self.faults.add(item)
        try:
            reference = self._library.take(item.reference) if item.reference else None
        except UnfitError as unfit:
            return self.faults.add(
                Fault(
                    line=item.request.line,
                    key=item.request.key,
                    field="reference",
                    reason=unfit.reason,
                    permitted=unfit.permitted,
                )
            )
        if reference is not None:
            self._lines.setdefault(reference, item.request.line)
        self._credits += MODELS[item.request.model].credits
        return self.spool.add(item.request, reference)

    def done(self) -> Prepared:
        return Prepared(
            spool=self.spool,
            credits=self._credits,
            faults=self.faults,
            references=self._library.facts,
            referring_lines=self._lines,
            store=self._library.store_identity,
        )
