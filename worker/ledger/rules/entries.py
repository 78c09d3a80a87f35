"""Ledger entries: positive amounts moved between accounts of a batch, never edited; and how a statement adds up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class CreditAccount(StrEnum):
    """The four accounts of a batch."""

    CAP = "cap"
    """What may still be committed; it starts at zero and goes negative by what is committed."""
    HELD = "held"
    """Our own promise, made before the call."""
    RESERVED = "reserved"
    """What the provider said that it reserved."""
    SPENT = "spent"
    """What the provider finally charged."""


class EntryKind(StrEnum):
    """Why credits moved; one generation has each kind at most once, but for corrections."""

    HOLD = "hold"
    """Admission promised the price."""
    RESERVE = "reserve"
    """The provider took the generation and reserved its figure, as far as it was held."""
    TOP_UP = "top_up"
    """The provider reserved more than was held; this is the difference."""
    TRIM = "trim"
    """The provider reserved less than was held; this is the difference."""
    SETTLE = "settle"
    """The provider charged, as far as it had reserved."""
    OVERRUN = "overrun"
    """The provider charged more than it had reserved; this is the difference."""
    RELEASE = "release"
    """The provider did not charge what it had reserved; this is the rest."""
    VOID = "void"
    """Nothing was created; the hold is taken back."""
    CORRECT = "correct"
    """A person put a wrong entry right, with a reason and a name."""


ROUTES: dict[EntryKind, tuple[CreditAccount, CreditAccount]] = {
    EntryKind.HOLD: (CreditAccount.CAP, CreditAccount.HELD),
    EntryKind.RESERVE: (CreditAccount.HELD, CreditAccount.RESERVED),
    EntryKind.TOP_UP: (CreditAccount.CAP, CreditAccount.RESERVED),
    EntryKind.TRIM: (CreditAccount.HELD, CreditAccount.CAP),
    EntryKind.SETTLE: (CreditAccount.RESERVED, CreditAccount.SPENT),
    EntryKind.OVERRUN: (CreditAccount.CAP, CreditAccount.SPENT),
    EntryKind.RELEASE: (CreditAccount.RESERVED, CreditAccount.CAP),
    EntryKind.VOID: (CreditAccount.HELD, CreditAccount.CAP),
}
"""From where to where each kind moves; a correction names its own two accounts."""


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One entry of the ledger: ``credits`` (1 or more) leave ``source`` and arrive in ``target``."""

    kind: EntryKind
    source: CreditAccount
    target: CreditAccount
    credits: int


def hold(price: int) -> tuple[Movement, ...]:
    """Promise the price of one generation before anything is sent."""
    return _movements((EntryKind.HOLD, price))


def reserve(*, held: int, answered: int) -> tuple[Movement, ...]:
    """Book the provider's own figure, and beside it the difference from the hold."""
    return _movements(
        (EntryKind.RESERVE, min(held, answered)),
        (EntryKind.TRIM, held - answered),
        (EntryKind.TOP_UP, answered - held),
    )


def settle(*, reserved: int, final: int) -> tuple[Movement, ...]:
    """Book what the provider charged, give back the rest, and book an overrun as it is."""
    return _movements(
        (EntryKind.SETTLE, min(reserved, final)),
        (EntryKind.RELEASE, reserved - final),
        (EntryKind.OVERRUN, final - reserved),
    )


def void(held: int) -> tuple[Movement, ...]:
    """Take back a hold for which nothing was created."""
    return _movements((EntryKind.VOID, held))


def correct(*, source: CreditAccount, amount: int, charged: int) -> tuple[Movement, ...]:
    """Correct what is open in ``source``: ``charged`` of it is spent, and the rest returns to the cap.

    What was charged beyond the open amount is taken from the cap, as an overrun is.
    """
    routes = (
        (source, CreditAccount.SPENT, min(amount, charged)),
        (source, CreditAccount.CAP, amount - charged),
        (CreditAccount.CAP, CreditAccount.SPENT, charged - amount),
    )
    return tuple(
        Movement(kind=EntryKind.CORRECT, source=left, target=right, credits=moved)
        for left, right, moved in routes
        if moved > 0
    )


def correct_spent(*, spent: int, charged: int) -> tuple[Movement, ...]:
    """Correct what was booked as spent: the difference comes from the cap, or returns to it."""
    source, target = CreditAccount.CAP, CreditAccount.SPENT
    if charged < spent:
        source, target = target, source
    moved = abs(charged - spent)
    return (Movement(kind=EntryKind.CORRECT, source=source, target=target, credits=moved),) if moved else ()


def committed(movements: Iterable[Movement]) -> int:
    """Return by how much the movements change what a batch has committed (held, reserved and spent)."""
    return sum(m.credits * ((m.source is CreditAccount.CAP) - (m.target is CreditAccount.CAP)) for m in movements)


def balances(movements: Iterable[Movement]) -> Mapping[CreditAccount, int]:
    """Sum the movements per account; the four sums always add up to zero."""
    sums = dict.fromkeys(CreditAccount, 0)
    for movement in movements:
        sums[movement.source] -= movement.credits
        sums[movement.target] += movement.credits
    return sums


def _movements(*steps: tuple[EntryKind, int]) -> tuple[Movement, ...]:
    """Make an entry of each step that moves anything at all."""
    return tuple(
        Movement(kind=kind, source=ROUTES[kind][0], target=ROUTES[kind][1], credits=amount)
        for kind, amount in steps
        if amount > 0
    )


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
        """Return the balance once the flows have happened."""
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
