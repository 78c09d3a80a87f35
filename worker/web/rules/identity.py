"""Who may do what: rights, roles as sets of rights, and the identity that a request acts as."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from worker.core.rules.batch_request import Priority


class Right(StrEnum):
    """One thing that an identity may do."""

    READ = "read"
    """See batches, jobs, results and catalogs."""
    SUBMIT = "submit"
    """Submit batches, which spends credits."""
    CONTROL = "control"
    """Pause, resume, cancel, retry and reprioritise batches; pause, resume and limit the account."""
    REVIEW = "review"
    """Decide which images of a catalog go live."""
    FINANCE = "finance"
    """See reports and balances; set caps."""
    DECIDE = "decide"
    """Resolve generations in doubt and correct costs."""
    ADMIN = "admin"
    """Manage users, tokens and hooks."""


ROLES: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        "viewer": frozenset({Right.READ}),
        "reviewer": frozenset({Right.READ, Right.REVIEW}),
        "operator": frozenset({Right.READ, Right.SUBMIT, Right.CONTROL}),
        "finance": frozenset({Right.READ, Right.FINANCE, Right.DECIDE}),
        "admin": frozenset(Right),
    }
)
"""The rights of each role; a user has those of all of its roles."""


def rights_of(roles: Iterable[str]) -> frozenset[Right]:
    """Return the rights of these roles together; a role that is not known has none."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


_RANK = {Priority.BULK: 0, Priority.REFRESH: 1, Priority.INTERACTIVE: 2}


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The authenticated identity of one request."""

    name: str
    """Of the user, without the way in which it was authenticated: maker and checker are compared by it."""
    actor: str
    """As the log of changes keeps it: ``web:alice``, ``token:shop@alice``."""
    rights: frozenset[Right]
    owner: str | None = None
    """The owner of batches that it acts for: it submits, sees and changes no others. None: all owners."""
    max_priority: Priority | None = None
    """The highest priority that it may ask for; None: any."""
    credit_cap: int | None = None
    """Most credits that one batch of it may commit; None: no bound of its own."""

    def may(self, right: Right) -> bool:
        """Return whether it has the right."""
        return right in self.rights

    def may_ask_for(self, priority: Priority) -> bool:
        """Return whether the priority is within its ceiling."""
        return self.max_priority is None or _RANK[priority] <= _RANK[self.max_priority]
