"""Whether the books can be believed: every rule of the ledger and of the job's life, proved on the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from worker.archive.queries import archived, views
from worker.archive.rules.tables import ArchivedRows, Need
from worker.audit import chain
from worker.audit.chain import EXAMPLES, Anchor, Check, verify_facts, verify_seals
from worker.audit.queries import entry_proofs, erasures, instants, seals
from worker.audit.reports import snapshot
from worker.batches.queries import job_counts
from worker.core.db import guards, proofs, rights

PROOFS = (
    *proofs.PROOFS,
    *entry_proofs.PROOFS,
    *guards.PROOFS,
    *rights.PROOFS,
    *seals.PROOFS,
    *instants.PROOFS,
    *entry_proofs.SETTINGS_PROOFS,
    *erasures.PROOFS,
    *job_counts.PROOFS,
)
"""The rules that a query proves; the chain of seals is computed again instead."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """All checks at one instant, with the totals that they were made over."""

    checks: tuple[Check, ...]
    totals: Mapping[str, int]

    @property
    def ok(self) -> bool:
        """Whether every rule holds."""
        return all(check.ok for check in self.checks)


def verify(tx: Connection, *, known: Sequence[Anchor] = (), archive: ArchivedRows | None = None) -> Verification:
    """Check every rule on one snapshot, and the seals that are ``known`` from elsewhere.

    The transaction must not have been used yet. Archived batches are read back from the ``archive``, whose files are
    checked too; raises ArchiveNotRead when there are some and it is None.
    """
    of_archive = snapshot.begin(tx, lambda: _load(tx, archive))
    checks = (*run_checks(tx), *of_archive)
    if known:
        checks = (*checks, chain.check_anchors(tx, known))
    return Verification(checks=checks, totals=proofs.totals(tx))


def _load(tx: Connection, archive: ArchivedRows | None) -> tuple[Check, ...]:
    """Let the checks see archived rows, and check their files; nothing where no batch is archived."""
    batch_ids = archived.needed(tx, Need())
    if not batch_ids:
        return ()
    faults = snapshot.required(archive, batch_ids).prove(tx, batch_ids)
    return (
        _found("archive_files", "every file of the archive is there and as it was written", faults),
        _found(
            "archive_rows",
            "what is said of an archived batch is what its rows give, and no row is in the tables too",
            [*views.miscounted(tx), *views.twice(tx)],
        ),
    )


def _found(name: str, rule: str, found: Sequence[Mapping[str, Any]]) -> Check:
    return Check(name=name, rule=rule, broken=len(found), examples=tuple(found[:EXAMPLES]))


def run_checks(tx: Connection) -> tuple[Check, ...]:
    """Check every rule on the transaction's own view, including its uncommitted changes."""
    return (*(_check(tx, proof) for proof in PROOFS), *verify_seals(tx), *verify_facts(tx))


def _check(tx: Connection, proof: proofs.Proof) -> Check:
    broken, examples = proofs.contradictions(tx, proof, limit=EXAMPLES)
    noted = tuple(proofs.notes(tx, proof, limit=EXAMPLES))
    return Check(name=proof.name, rule=proof.rule, broken=broken, examples=tuple(examples), notes=noted)


__all__ = ["PROOFS", "Check", "Verification", "verify"]
