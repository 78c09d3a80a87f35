"""Which database, broker, store and provider a command works with: the environment first, else the embedded ones.

Play and real money never mix: without a key, or where the provider proves that it is a sandbox, the embedded default
is the database ``darkroom_sandbox``, the broker's database 1 and the folder ``sandbox-images``; else it is
``darkroom``, 0 and ``images``.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from worker.cli.errors import MISUSED, CliError
from worker.cli.local import running
from worker.cli.local import sandbox as local_sandbox
from worker.local import services
from worker.local.services import Services
from worker.settings import FILE, SECRETS, Settings, in_file, load, variable_of

if TYPE_CHECKING:
    from worker.core.db.session import Database


@dataclass(frozen=True, kw_only=True)
class Home:
    """A home, and how it was found."""

    path: Path
    is_given: bool = False
    """Whether DARKROOM_HOME names it."""
    is_here: bool = False
    """Whether it is in the folder in which the command runs; also true of one that is still to be made."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The settings with everything filled in that could be found."""

    settings: Settings
    home: Path
    found: Home
    """How the home was found."""
    is_play: bool
    """Whether nothing here costs money."""
    has_provider: bool
    """False when there is no key and no sandbox runs."""
    is_home_sandbox: bool = False
    """Whether the provider is the sandbox of the home, found through its record."""

    @property
    def database_name(self) -> str:
        """The embedded database of this mode."""
        return "darkroom_sandbox" if self.is_play else "darkroom"

    @property
    def mode(self) -> str:
        """The mode's name for people."""
        return "sandbox" if self.is_play else "live"

    @property
    def provider(self) -> str:
        """The provider as a person reads it."""
        if not self.is_play:
            return self.settings.base_url
        where = self.settings.base_url if self.has_provider else "not running"
        return f"the sandbox ({where}), where nothing costs money"

    def environment(self) -> dict[str, str]:
        """The environment for a process of Darkroom that uses the same services."""
        found = {**self.variables(), **self.provider_variables()}
        # A secret that is in a file stays there; what is given as a value is not given as a file, too.
        found = {name: value for name, value in found.items() if name not in SECRETS or value != in_file(name)}
        inherited = {name: text for name, text in os.environ.items() if name.removesuffix(FILE) not in found}
        return {**inherited, **found}

    def variables(self) -> dict[str, str]:
        """Home, database, broker and store by the names of their variables."""
        found = {
            "DARKROOM_HOME": str(self.home),
            "DARKROOM_DATABASE_URL": _revealed(self.settings.database_url),
            "DARKROOM_BROKER_URL": _revealed(self.settings.broker_url),
            "DARKROOM_STORE": self.settings.store_url,
        }
        return {name: value for name, value in found.items() if value}

    def provider_variables(self) -> dict[str, str]:
        """The provider's address and key, if there is one; those of several accounts that have keys are inherited."""
        if not self.has_provider:
            return {}
        if self.settings.accounts:
            return dict(self._sandbox_accounts()) if self.is_home_sandbox else {}
        return {
            "RIVYA_BASE_URL": self.settings.base_url,
            "RIVYA_API_KEY": _revealed(self.settings.api_key),
        }

    def _sandbox_accounts(self) -> Iterator[tuple[str, str]]:
        for each in self.settings.served:
            yield variable_of("RIVYA_BASE_URL", each.account), each.base_url
            yield variable_of("RIVYA_API_KEY", each.account), _revealed(each.api_key)


def resolve(*, needs_database: bool = True) -> Context:
    """Return the context of this process; raise CliError when there is no database and one is needed."""
    given = load()
    if not given.served and "base_url" in given.model_fields_set:
        raise CliError(
            "RIVYA_BASE_URL is set and RIVYA_API_KEY is not: set the key too, or unset RIVYA_BASE_URL to use the"
            " sandbox",
            MISUSED,
        )
    place = find_home(given)
    given = _without_own_urls(given, place)
    context = _with_provider(given, place)
    if given.database_url is None or given.broker_url is None:
        context = with_services(context, _running(context.home))
    if needs_database and context.settings.database_url is None:
        raise CliError(no_database(place))
    return context


def opened() -> "tuple[Context, Database]":
    """Return the context of this process, and its database on one connection."""
    from worker import wiring

    context = resolve()
    return context, wiring.database(context.settings, connections=1)


def home() -> Path:
    """Return the home of this process, which need not exist."""
    return find_home(load()).path


def find_home(given: Settings) -> Home:
    """Return the home that these settings name."""
    named = given.home if "home" in given.model_fields_set else None
    return find(named, here=Path.cwd(), user=_user_folder())


def is_embedded(given: Settings) -> bool:
    """Return whether a server of the home is used: the environment does not name two others."""
    own = _without_own_urls(given, find_home(given))
    return own.database_url is None or own.broker_url is None


def other_mode() -> tuple[str, str, str] | None:
    """Return the other mode's embedded database, what that mode is called, and how a person gets there.

    None where this process does not use the embedded database of a home.
    """
    given = load()
    place = find_home(given)
    if _without_own_urls(given, place).database_url is not None:
        return None
    running = _running(place.path)
    if running is None:
        return None
    if resolve().is_play:
        return running.database_url_of("darkroom"), "live", "set RIVYA_API_KEY"
    return running.database_url_of("darkroom_sandbox"), "sandbox", "unset RIVYA_API_KEY"


def with_services(context: Context, found: Services | None) -> Context:
    """Complete the environment from the embedded services."""
    if found is None:
        return context
    database = SecretStr(found.database_url_of(context.database_name))
    broker = SecretStr(found.broker_url.removesuffix("/0") + ("/1" if context.is_play else "/0"))
    return _changed(
        context,
        database_url=context.settings.database_url or database,
        broker_url=context.settings.broker_url or broker,
    )


def with_sandbox(context: Context, found: local_sandbox.SandboxRecord) -> Context:
    """Use this sandbox as the provider; of several accounts those that it has opened."""
    keys = found.keys if context.settings.accounts else {context.settings.account: found.key}

    def in_sandbox(settings: Settings) -> dict[str, object]:
        key = keys.get(settings.account)
        return {"base_url": found.url, "api_key": None if key is None else SecretStr(key)}

    accounts = tuple(each.model_copy(update=in_sandbox(each)) for each in context.settings.accounts)
    changed = _changed(context, **in_sandbox(context.settings), accounts=accounts)
    return replace(changed, is_play=True, has_provider=True, is_home_sandbox=True)


def _with_provider(given: Settings, place: Home) -> Context:
    served = given.served
    is_play = all(_is_sandbox(address, given) for address in sorted({each.base_url for each in served}))
    store = _absolute(given.store) or str(place.path / ("sandbox-images" if is_play else "images"))
    settings = given.model_copy(update={"home": place.path, "store": store})
    context = Context(settings=settings, home=place.path, found=place, is_play=is_play, has_provider=bool(served))
    sandbox = None if served else local_sandbox.running(place.path)
    return context if sandbox is None else with_sandbox(context, sandbox)


def _is_sandbox(address: str, given: Settings) -> bool:
    """Have an address on this machine prove that it is a sandbox; raise CliError where the database hangs on it."""
    from worker.cli.local import sandbox as local_sandbox

    proved = local_sandbox.is_sandbox(address)
    if proved is None and given.database_url is None:
        raise CliError(
            f"{address} does not answer, so it is not known whether it is a sandbox or spends credits: start it,"
            " or unset RIVYA_BASE_URL and RIVYA_API_KEY to use the sandbox of this home"
        )
    return bool(proved)


def _without_own_urls(given: Settings, place: Home) -> Settings:
    """Drop URLs of this home's own servers, which `darkroom services start` and `darkroom env` print.

    Their ports may have changed since, and which database is meant depends on the key.
    """
    urls = {"database_url": given.database_url, "broker_url": given.broker_url}
    own = [name for name, url in urls.items() if url and services.is_own_url(place.path, url.get_secret_value())]
    return given.model_copy(update=dict.fromkeys(own)) if own else given


def no_database(place: Home) -> str:
    """Return the error for a missing database: where it was looked for, and the next step."""
    if said := running.hint_of_start(place.path):
        return said
    if place.is_given:
        looked = f"in {place.path}, which DARKROOM_HOME names"
    else:
        looked = f"in {FOLDER} here, in a folder above, or in your home folder"
    return (
        f"no database is running {looked}: start Darkroom with `darkroom up` in another terminal, or set"
        f" DARKROOM_HOME or DARKROOM_DATABASE_URL{running.elsewhere()}"
    )


def _user_folder() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def _running(place: Path) -> Services | None:
    """Return the embedded services if both run."""
    if (known := services.running(place)) is not None:
        return known
    # A start that was cut off has recorded nothing, or half: starting again completes it.
    found = services.status(place)
    return None if found.postgres is None or found.valkey is None else services.start(place)


def _absolute(store: str | None) -> str | None:
    return store if store is None or "://" in store else str(Path(store).expanduser().absolute())


def _changed(context: Context, **values: object) -> Context:
    return replace(context, settings=context.settings.model_copy(update=values))


def _revealed(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


FOLDER = ".darkroom"


def find(given: Path | None, *, here: Path, user: Path | None) -> Home:
    """Find the home as git finds a repository; where there is none, it is to be made ``here``.

    ``user`` is the user's home folder, whose ``.darkroom`` is looked for last; None: there is none.
    """
    if given is not None:
        return Home(path=given.expanduser().resolve(), is_given=True)
    places = [here, *here.parents, *([user] if user is not None else [])]
    found = next((place for place in places if _is_home(place / FOLDER)), here)
    return Home(path=(found / FOLDER).resolve(), is_here=found == here)


def _is_home(folder: Path) -> bool:
    """Return whether services or a sandbox were ever started in the folder."""
    try:
        return (folder / "run").is_dir()
    except OSError:
        return False
