"""Whether the books can be believed: every rule of the ledger and of the job's life, proved on the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from worker.audit import anchors
from worker.audit.anchors import Anchor
from worker.audit.chain import EXAMPLES, Check, verify_facts, verify_seals
from worker.audit.queries import entry_proofs, instants, seals
from worker.core.db import guards, proofs, rights

PROOFS = (
    *proofs.PROOFS,
    *entry_proofs.PROOFS,
    *guards.PROOFS,
    *rights.PROOFS,
    *seals.PROOFS,
    *instants.PROOFS,
    *entry_proofs.SETTINGS_PROOFS,
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


def verify(tx: Connection, *, known: Sequence[Anchor] = ()) -> Verification:
    """Check every rule on one snapshot, and the seals that are ``known`` from elsewhere.

    The transaction must not have been used yet.
    """
    tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    tx.execute(text("SET LOCAL statement_timeout = 0"))
    checks = run_checks(tx)
    if known:
        checks = (*checks, anchors.check(tx, known))
    return Verification(checks=checks, totals=proofs.totals(tx))


def run_checks(tx: Connection) -> tuple[Check, ...]:
    """Check every rule on what the transaction sees, with what it has changed itself."""
    return (*(_check(tx, proof) for proof in PROOFS), *verify_seals(tx), *verify_facts(tx))


def _check(tx: Connection, proof: proofs.Proof) -> Check:
    broken, examples = proofs.contradictions(tx, proof, limit=EXAMPLES)
    noted = tuple(proofs.notes(tx, proof, limit=EXAMPLES))
    return Check(name=proof.name, rule=proof.rule, broken=broken, examples=tuple(examples), notes=noted)


__all__ = ["PROOFS", "Check", "Verification", "verify"]
