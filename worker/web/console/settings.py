"""Settings as they are: accounts and their limits, users, tokens and hooks. They are changed by commands."""

from starlette.responses import Response

from worker.accounts.queries import account_limits
from worker.hooks.queries import hooks
from worker.web.console.page import Visit
from worker.web.queries import identity


def show(visit: Visit) -> Response:
    """Show the page."""
    with visit.context.database.transaction() as tx:
        accounts = [account_limits.view(tx, name, now=visit.now) for name in account_limits.names(tx)]
        values = {"users": identity.users(tx), "tokens": identity.tokens(tx), "hooks": hooks.all_(tx)}
    return visit.render("settings.html", accounts=accounts, **values)  # type: ignore[arg-type]  # none is "status"
