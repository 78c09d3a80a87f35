"""How a statement adds up: what stood there before, what moved, and what stands there afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from worker.ledger.rules.entries import CreditAccount, EntryKind

PLAIN_KINDS: tuple[EntryKind, ...] = tuple(kind for kind in EntryKind if kind is not EntryKind.CORRECT)
"""The kinds whose two accounts are fixed; a correction names its own."""

CORRECTED = (CreditAccount.HELD, CreditAccount.RESERVED, CreditAccount.SPENT)
"""The accounts for which a statement shows what corrections brought (or, below zero, took)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """Entries of one kind between the same two accounts, added up."""

    kind: EntryKind
    source: CreditAccount
    target: CreditAccount
    entries: int
    credits: int

    def into(self, account: CreditAccount) -> int:
        """Return how much the account has more (or, below zero, less) because of it."""
        return self.credits * ((self.target is account) - (self.source is account))


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """What is held, reserved and spent at one instant."""

    held: int = 0
    reserved: int = 0
    spent: int = 0

    @property
    def committed(self) -> int:
        """All three together: what the cap counts."""
        return self.held + self.reserved + self.spent

    def after(self, flows: Iterable[Flow]) -> "Balance":
        """Return the standing once the flows have happened."""
        known = tuple(flows)
        return Balance(
            held=self.held + _net(known, CreditAccount.HELD),
            reserved=self.reserved + _net(known, CreditAccount.RESERVED),
            spent=self.spent + _net(known, CreditAccount.SPENT),
        )

    def plus(self, other: "Balance") -> "Balance":
        """Return both together."""
        return Balance(
            held=self.held + other.held, reserved=self.reserved + other.reserved, spent=self.spent + other.spent
        )


def by_kind(flows: Iterable[Flow]) -> Mapping[EntryKind, int]:
    """Sum the credits of each kind but corrections, which have no one direction."""
    sums: dict[EntryKind, int] = dict.fromkeys(PLAIN_KINDS, 0)
    for flow in flows:
        if flow.kind is not EntryKind.CORRECT:
            sums[flow.kind] += flow.credits
    return sums


def corrections(flows: Iterable[Flow]) -> Mapping[CreditAccount, int]:
    """Return what corrections brought to held, reserved and spent; below zero: took from them."""
    made = tuple(flow for flow in flows if flow.kind is EntryKind.CORRECT)
    return {account: _net(made, account) for account in CORRECTED}


def _net(flows: Iterable[Flow], account: CreditAccount) -> int:
    return sum(flow.into(account) for flow in flows)
