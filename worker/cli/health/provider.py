"""The provider as `darkroom doctor` looks at it: each account's key, its scopes, its wallet, and the prices."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from worker import wiring
from worker.accounts.queries import provider_health
from worker.cli.context import Context
from worker.cli.health import doctor
from worker.cli.health.doctor import Finding
from worker.core.rules.errors import AccountPaused, NotFound, PauseReason, ProviderError
from worker.core.rules.models_catalogue import DEFAULT_MODEL, MODELS
from worker.provider.client import Client
from worker.provider.wire import why_unavailable


def examine(context: Context) -> Iterator[Finding]:
    """Yield the findings of each key."""
    if not context.has_provider:
        yield doctor.failed("provider", "no key, and no sandbox runs here", "set RIVYA_API_KEY, or start `darkroom up`")
        return
    kind = "sandbox" if context.is_play else "live"
    in_use = _models_in_use(context)
    several = context.settings.served if context.settings.accounts else ()
    for settings in several or (context.settings,):
        for each in _of_key(wiring.client(settings), kind, in_use):
            yield replace(each, detail=f"{settings.account}: {each.detail}") if several else each


def _of_key(client: Client, kind: str, in_use: set[str]) -> Iterator[Finding]:
    yield _asked("key", lambda: _wallet(client, kind, in_use))
    yield _asked("scopes", lambda: _scopes(client))
    yield _asked("prices", lambda: _prices(client, in_use))


def _models_in_use(context: Context) -> set[str]:
    """Return the models that jobs wait for, and the one of a request that names none."""
    if context.settings.database_url is None:
        return {DEFAULT_MODEL}
    database = wiring.database(context.settings, connections=1)
    try:
        with database.transaction() as tx:
            return {DEFAULT_MODEL, *provider_health.in_use(tx)}
    except DBAPIError:
        return {DEFAULT_MODEL}
    finally:
        database.close()


def _asked(part: str, ask: Callable[[], Finding]) -> Finding:
    try:
        return ask()
    except ProviderError as error:
        return doctor.failed(
            part, str(error), "check RIVYA_API_KEY and RIVYA_BASE_URL, and the key at the provider's site"
        )


def _wallet(client: Client, kind: str, in_use: set[str]) -> Finding:
    balance = client.credits()
    detail = f"{kind}: key accepted, scope credits:read; wallet {balance:,} credits"
    price = min(MODELS[model].credits for model in in_use if model in MODELS)
    if balance < price:
        return doctor.warning("key", detail, f"the wallet is too low for one image ({price} credits): top it up")
    return doctor.ok("key", detail)


def _scopes(client: Client) -> Finding:
    present, lacking = _read_scopes(client)
    if lacking:
        step = "give the key these scopes at the provider's site, or use a new key, which has all of them"
        return doctor.failed("scopes", f"the key lacks {', '.join(lacking)}", step)
    return doctor.ok("scopes", f"{', '.join(present)}; {_UNPROVED_SCOPES}")


def _prices(client: Client, in_use: set[str]) -> Finding:
    """Compare every price with the provider's list; a model that is not offered matters only when jobs wait for it."""
    views = client.models()
    listed = {model.id: model.base_credits for model in views}
    statuses = {model.id: model.api_status for model in views}
    drifted = [
        f"{spec.id} costs {listed[spec.id]} and {spec.credits} is held"
        for spec in MODELS.values()
        if listed.get(spec.id) not in (None, spec.credits)
    ]
    missing = [f"{model} ({why})" for model in sorted(in_use) if (why := why_unavailable(model, statuses))]
    if drifted:
        return doctor.failed(
            "prices", "; ".join(drifted), "upgrade Darkroom before you submit: caps and prices are off"
        )
    if missing:
        step = "nothing; jobs of such a model wait until the provider offers it"
        return doctor.warning("prices", f"not offered: {', '.join(missing)}", step)
    as_listed = (f"{spec.id} {spec.credits}" for spec in MODELS.values() if listed.get(spec.id) is not None)
    return doctor.ok("prices", f"credits as listed: {', '.join(as_listed)}")


_NOBODYS = "darkroom_doctor_asks_for_nothing"
"""An id that the provider never gave out."""


_UNPROVED_SCOPES = (
    "generations:create and files:create show only when they are used: a create may cost credits, an upload stays"
)


def _read_scopes(client: Client) -> tuple[list[str], list[str]]:
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
