"""Which scopes the key has, as far as that can be found out for nothing: objects that cannot exist are asked for."""

from collections.abc import Callable

from worker.core.rules.errors import AccountPaused, NotFound, PauseReason, ProviderError
from worker.provider.client import Client

_NOBODYS = "darkroom_doctor_asks_for_nothing"
"""An id that the provider never gave out."""

UNPROVED = (
    "generations:create and files:create show only when they are used: a create may cost credits, an upload stays"
)


def of_reading(client: Client) -> tuple[list[str], list[str]]:
    """Return the read scopes that the key has and those that it lacks; raise ProviderError on any other answer."""
    asked: dict[str, Callable[[str], object]] = {"generations:read": client.get, "files:read": client.file}
    found = {scope: _has_scope(ask) for scope, ask in asked.items()}
    return [scope for scope, has in found.items() if has], [scope for scope, has in found.items() if not has]


def _has_scope(ask: Callable[[str], object]) -> bool:
    """Return whether the provider looked for the object: it looks at the scope before that."""
    try:
        ask(_NOBODYS)
    except ProviderError as error:
        if isinstance(error, AccountPaused) and error.reason is PauseReason.API_SCOPE_DENIED:
            return False
        # A 404 without the provider's code may come from any web server.
        if not (isinstance(error, NotFound) and error.code == "not_found"):
            raise
    return True
