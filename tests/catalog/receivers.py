"""Receivers of what goes live: a team's hooks, and the messages that are owed to them."""

from tests.catalog.team import Team
from worker.catalog import hooks as telling
from worker.catalog.hooks import Sent
from worker.catalog.queries import hooks
from worker.catalog.rules.hook import HookKind

SECRET = "sixteen letters and more"


def add(team: Team, target: str, kind: HookKind = HookKind.POST) -> None:
    """Add a hook to the team's catalog."""
    with team.node.services.database.transaction() as tx:
        hooks.add(
            tx,
            hook_id=team.node.services.new_id(),
            catalog_id=team.catalog.id,
            kind=kind,
            target=target,
            secret=SECRET if kind is HookKind.POST else None,
            now=team.clock(),
        )


def send(team: Team) -> Sent:
    """Send what is due now."""
    return telling.send_due(team.node.services.database, team.node.services.store, clock=team.clock)


def owed(team: Team) -> list[dict[str, object]]:
    """Return the messages that nobody has taken yet."""
    return team.node.query("SELECT attempts, last_error FROM hook_delivery WHERE delivered_at IS NULL")
