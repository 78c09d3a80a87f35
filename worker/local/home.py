"""Where the embedded services keep their files: below DARKROOM_HOME, and the data elsewhere if need be."""

import hashlib
import os
import stat
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from worker.local.account import Account, former_uids
from worker.local.errors import ServicesError

SYSTEM_DIRS = (Path("/var/lib/darkroom"), Path("/var/tmp/darkroom-system"))  # noqa: S108 - ownership is checked
"""Where root keeps what another account has to reach; the first that can be made is used."""
SOCKET_DIR_MAX = 85
"""A socket's path ends at 103 bytes on the strictest system; Postgres adds ``/.s.PGSQL.12345``."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """One DARKROOM_HOME: an absolute folder without symbolic links."""

    root: Path

    @property
    def lock(self) -> Path:
        """Return the file whose lock serialises every start and stop."""
        return self.root / "run" / "lock"

    @property
    def records(self) -> Path:
        """Return the file that says which processes were started."""
        return self.root / "run" / "services.json"

    @property
    def passwords(self) -> Path:
        """Return the file, readable by its owner alone, that holds the servers' passwords."""
        return self.root / "passwords.json"

    @property
    def pointer(self) -> Path:
        """Return the file that names the data folder when it cannot lie in the home."""
        return self.root / "data.location"

    def log(self, server: str) -> Path:
        """Return the log file of one server."""
        return self.root / "log" / f"{server}.log"

    @property
    def data(self) -> Path:
        """Return the folder of the servers' data."""
        if self.pointer.exists():
            return Path(self.pointer.read_text(encoding="utf-8").strip())
        return self.root / "data"

    @property
    def sockets(self) -> Path:
        """Return the folder of the Postgres socket: with the data, or a short one when that is too long."""
        beside_data = self.data / "sockets"
        if len(os.fsencode(beside_data)) <= SOCKET_DIR_MAX:
            return beside_data
        return Path("/tmp") / f"darkroom-{_digest(self.root)}"  # noqa: S108 - ownership is checked


def at(path: Path) -> Home:
    """Return the home at a path, which need not exist."""
    return Home(root=path.expanduser().resolve())


def make(home: Home) -> None:
    """Create the home as far as its lock needs; safe when several processes do so at once."""
    home.lock.parent.mkdir(parents=True, exist_ok=True)
    if (owner := home.lock.parent.stat().st_uid) != os.geteuid():
        raise ServicesError(
            f"The embedded services in {home.root} cannot be started",
            f"they belong to the user with the id {owner}",
            "run as that user, or set DARKROOM_HOME to a folder of your own.",
        )


def is_own(home: Home) -> bool:
    """Return whether the home is there and belongs to the caller."""
    try:
        return home.lock.parent.stat().st_uid == os.geteuid()
    except OSError:
        return False


def prepare(home: Home, account: Account) -> None:
    """Make the home's folders, and decide once where the data lies so that the account can reach it.

    The caller has the home's lock: a folder has no owner yet between its creation and the change of its owner.
    """
    home.log("any").parent.mkdir(exist_ok=True)
    if not home.data.exists() and not account.can_enter(home.root):
        home.pointer.write_text(f"{system_dir() / f'home-{_digest(home.root)}'}\n", encoding="utf-8")
    _open_to(home.data, account)
    _private_to(home.sockets, account)


def system_dir() -> Path:
    """Return a folder that belongs to root and that every account can read; only root may ask."""
    for folder in SYSTEM_DIRS:
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        _require_owner(folder, {os.geteuid()})
        folder.chmod(0o755)
        return folder
    raise ServicesError(
        "The servers have no place that their account can reach",
        f"none of {', '.join(map(str, SYSTEM_DIRS))} can be made",
        "make one of them writable, or run as an ordinary user.",
    )


def _open_to(folder: Path, account: Account) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    _require_owner(folder, {os.geteuid()})
    if account.is_other:
        # The account passes through as the one member of its group; every other user stays out.
        os.chown(folder, os.geteuid(), account.gid, follow_symlinks=False)
    folder.chmod(0o710 if account.is_other else 0o700)
    if not account.can_enter(folder):
        raise ServicesError(
            "The servers' account cannot reach their data",
            f"a parent of {folder} is closed to the user with the id {account.uid}",
            "open the parents for passing through (chmod o+x), or set DARKROOM_HOME to another folder.",
        )


def _private_to(folder: Path, account: Account) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _require_owner(folder, {account.uid, *former_uids()})
    else:
        account.own(folder)


def _require_owner(folder: Path, uids: AbstractSet[int]) -> None:
    """Refuse a link, a file, and a folder that another user made or may write to."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in uids or found.st_mode & 0o022:
        raise ServicesError(
            f"{folder} cannot be used",
            f"it must be a folder that only its owner, the user with the id {min(uids)}, may write to",
            "look at what it is, and move it away.",
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
