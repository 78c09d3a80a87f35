"""The embedded services of one home: start them, end them, and say where they are.

Several processes share one instance. The first caller starts it, the others find it, and it runs until
``stop``: it does not end with the process that started it.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from worker.local import home, ports, records, servers, supervisor
from worker.local.account import Account, belongs_to_other, current
from worker.local.errors import ServicesError, explain_system_errors
from worker.local.home import Home
from worker.local.records import Passwords, Running
from worker.local.servers import Postgres, Valkey

DATABASE = "darkroom"
CONNECT_TIMEOUT_S = 10
SPACE_NEEDED_BYTES = 200 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Services:
    """Both servers, running and ready."""

    home: Path
    postgres: Running
    valkey: Running
    passwords: Passwords

    @property
    def database_url(self) -> str:
        """Return the URL of the database ``darkroom``, for SQLAlchemy with psycopg 3; it holds a password."""
        return self.database_url_of(DATABASE)

    @property
    def broker_url(self) -> str:
        """Return the URL of the broker, for kombu's Redis transport; it holds a password."""
        return f"redis://:{self.passwords.valkey}@{ports.HOST}:{self.valkey.port}/0"

    def database_url_of(self, name: str) -> str:
        """Return the URL of any database on the server, whether it exists or not."""
        user = f"{servers.DATABASE_USER}:{self.passwords.postgres}"
        return f"postgresql+psycopg://{user}@{ports.HOST}:{self.postgres.port}/{name}"


@dataclass(frozen=True, kw_only=True)
class Status:
    """Which of the two servers run, as seen from outside; None means that it does not."""

    postgres: Running | None
    valkey: Running | None


def start(path: Path, *, fsync: bool = True) -> Services:
    """Return the services of a home, ready to serve, with the database ``darkroom`` in place.

    ``fsync=False`` gives durability away for speed, for tests. Raises ServicesError with the next step.
    """
    place = home.at(path)
    with explain_system_errors(place.root):
        home.make(place)
        with records.exclusive(place.lock):
            runs_as = _account(place)
            home.prepare(place, runs_as)
            return _start(place, runs_as, fsync=fsync)


def stop(path: Path) -> Status:
    """Return what was running, after all of it has ended; nothing running is fine."""
    place = home.at(path)
    if not place.lock.parent.exists():
        return Status(postgres=None, valkey=None)
    with explain_system_errors(place.root), records.exclusive(place.lock):
        found = _find(place)
        # The broker first: what it holds are hints, and no node should be woken for a database that is gone.
        supervisor.end(place.data / servers.VALKEY, found.valkey)
        supervisor.end(place.data / servers.POSTGRES, found.postgres)
        if place.sockets.parent != place.data:
            shutil.rmtree(place.sockets, ignore_errors=True)
    return found


def erase(path: Path) -> None:
    """End the services of a home and remove their data and the home itself; what was in them is lost."""
    place = home.at(path)
    stop(path)
    shutil.rmtree(place.data, ignore_errors=True)
    shutil.rmtree(place.root, ignore_errors=True)


def status(path: Path) -> Status:
    """Return what is running just now, without waiting for a start or a stop that is under way."""
    return _find(home.at(path))


def running(path: Path) -> Services | None:
    """Return both servers as their last start recorded them, if they still run; None otherwise.

    Nothing is locked, started or asked: what a start would find or repair, it alone finds.
    """
    place = home.at(path)
    recorded, found = records.read(place.records), _find(place)
    secrets = records.known_passwords(place.passwords) if home.is_own(place) else None
    if found.postgres is None or found.valkey is None or secrets is None:
        return None
    if recorded != {servers.POSTGRES: found.postgres, servers.VALKEY: found.valkey}:
        return None
    return Services(home=place.root, postgres=found.postgres, valkey=found.valkey, passwords=secrets)


def is_own_url(path: Path, url: str) -> bool:
    """Return whether a URL is one of this home's servers, wherever they listen: it has their password."""
    known = records.known_passwords(home.at(path).passwords)
    if known is None:
        return False
    try:
        password = urlsplit(url).password
    except ValueError:
        return False
    return password is not None and unquote(password) in {known.postgres, known.valkey}


def ensure_database(services: Services, name: str) -> str:
    """Return the URL of the database with that name, which exists afterwards."""
    # Loading it takes longer than to find servers that run.
    from psycopg import OperationalError, connect, errors, sql  # noqa: PLC0415

    if re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name) is None:
        raise ValueError(f"{name!r} is no name for a database: lower-case letters, digits and _ only")
    address = services.database_url_of("postgres").replace("+psycopg", "", 1)
    try:
        with connect(address, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        # Another process has created it at the same moment.
        return services.database_url_of(name)
    except OperationalError as error:
        raise ServicesError(
            f"The embedded database {name} cannot be opened",
            str(error).strip(),
            f"read {home.at(services.home).log(servers.POSTGRES)}; was the password file replaced?",
        ) from error
    return services.database_url_of(name)


def _start(place: Home, runs_as: Account, *, fsync: bool) -> Services:
    former = records.read(place.records)
    found = _find(place)
    _require_space(place)
    secrets = records.passwords(place.passwords, is_new=not (place.data / servers.POSTGRES).exists())
    if belongs_to_other(place.data / servers.VALKEY, runs_as):
        # The former account's other processes could read it in the configuration.
        secrets = records.with_new_broker_password(place.passwords, secrets)
    database = Postgres(
        data=place.data / servers.POSTGRES,
        sockets=place.sockets,
        account=runs_as,
        password=secrets.postgres,
        fsync=fsync,
    )
    broker = Valkey(data=place.data / servers.VALKEY, account=runs_as, password=secrets.valkey, fsync=fsync)
    services = Services(
        home=place.root,
        postgres=supervisor.serve(database, found.postgres, former.get(servers.POSTGRES), place.log(servers.POSTGRES)),
        valkey=supervisor.serve(broker, found.valkey, former.get(servers.VALKEY), place.log(servers.VALKEY)),
        passwords=secrets,
    )
    _remember(place, former, services)
    return services


def _account(place: Home) -> Account:
    """Return who runs the servers: the account of those that run, which keep it until they are stopped, or our own."""
    own = current()
    found = _find(place)
    running = next((each for each in (found.postgres, found.valkey) if each is not None), None)
    user = None if running is None or not own.is_other else supervisor.user_of(running.pid)
    return own if user is None else Account(uid=user[0], gid=user[1], is_other=True)


def _remember(place: Home, former: Mapping[str, Running], services: Services) -> None:
    """Write the records, which say that all of a start was done: the database ``darkroom`` too."""
    now = {servers.POSTGRES: services.postgres, servers.VALKEY: services.valkey}
    if now != former:
        ensure_database(services, DATABASE)
        records.write(place.records, now)


def _find(place: Home) -> Status:
    former = records.read(place.records)
    data = place.data
    return Status(
        postgres=supervisor.find(servers.postgres_pid_file(data / servers.POSTGRES), former.get(servers.POSTGRES)),
        valkey=supervisor.find(servers.valkey_pid_file(data / servers.VALKEY), former.get(servers.VALKEY)),
    )


def _require_space(place: Home) -> None:
    if (free := shutil.disk_usage(place.data).free) < SPACE_NEEDED_BYTES:
        raise ServicesError(
            "The embedded services are not started",
            f"{place.data} has {free // 1024**2} MB left, and they need {SPACE_NEEDED_BYTES // 1024**2}",
            "free some space, or set DARKROOM_HOME to a folder on another disk.",
        )
