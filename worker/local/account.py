"""The user that the servers run as: the caller, or an account of their own when root calls."""

import grp
import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from worker.local.errors import ServicesError

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All that a server sees of an environment: the caller's may hold an API key."""
RUN_TIMEOUT_S = 600
"""initdb writes 40 MB safely to disk, which is a matter of minutes on the slowest ones."""
OWN_IDS = range(60_750, 61_150)
"""Ids that no tool assigns (systemd, "Users, Groups, UIDs and GIDs": 60706 to 61183 are unused), and that a container
with the usual 65,536 ids has; the first without a name is used."""
NOBODY = "nobody"
"""The user that earlier versions ran the servers as."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The user that owns the servers' data and runs their processes."""

    uid: int
    gid: int
    is_other: bool
    """True when it is not the caller, so that ownership has to be handed over."""

    def own(self, path: Path) -> None:
        """Make the path belong to this account."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def write_private(self, path: Path, text: str) -> None:
        """Make a new file that this account alone may read; what has its name is removed, and no link is followed."""
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            if self.is_other:
                os.fchown(file.fileno(), self.uid, self.gid)
            file.write(text)

    def run(self, command: Sequence[str], stderr: IO[bytes] | None = None) -> tuple[int, str]:
        """Run a command to its end as this account, in its own session; return its status and output.

        What it writes to standard error goes to ``stderr``, or into the output when that is None.
        """
        result = subprocess.run(  # noqa: S603 - the commands are this package's own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr or subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            umask=0o077,
            start_new_session=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
            user=self.uid if self.is_other else None,
            group=self.gid if self.is_other else None,
            extra_groups=[] if self.is_other else None,
        )
        return result.returncode, result.stdout.decode(errors="replace")

    def can_enter(self, folder: Path) -> bool:
        """Tell whether this account can reach the folder through its parents; the system is asked."""
        status, _ = self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)])
        return status == 0

    def with_name(self) -> "Account":
        """Return an account that has a name, for ``initdb``, which refuses a user without one.

        It keeps this account's group. Only that group may enter the folder of the data, and only a process of the same
        group may look into another one, so that other processes of the named user reach neither.
        """
        if not self.is_other:
            return self
        named = sorted((entry.pw_name != NOBODY, entry.pw_uid) for entry in pwd.getpwall() if entry.pw_uid != 0)
        if not named:
            raise ServicesError(
                "Postgres does not run as root",
                "this system has no other user, and initdb needs one with a name",
                "run the command as an ordinary user, or add the user nobody.",
            )
        return replace(self, uid=named[0][1])


def current() -> Account:
    """Return the account for this caller: itself, or the servers' own for root, whom Postgres refuses."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), is_other=False)
    free = next((each for each in OWN_IDS if not _has_name(each)), None)
    if free is None:
        raise ServicesError(
            "Postgres does not run as root",
            f"every id from {OWN_IDS.start} to {OWN_IDS.stop - 1} belongs to a user or group of this system",
            "run the command as an ordinary user.",
        )
    return Account(uid=free, gid=free, is_other=True)


def former_uids() -> frozenset[int]:
    """Return the ids that the servers of a home of root may have run as before: that of ``nobody``, and our own."""
    nobody = (entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == NOBODY)
    return frozenset([*nobody, *OWN_IDS]) if os.geteuid() == 0 else frozenset()


def _has_name(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        try:
            grp.getgrgid(number)
        except KeyError:
            return False
    return True


def belongs_to_other(folder: Path, account: Account) -> bool:
    """Tell whether the folder is there and is another user's than the account."""
    return account.is_other and folder.exists() and folder.lstat().st_uid != account.uid


def take_over(folder: Path, account: Account) -> bool:
    """Hand all that is below the folder to the account; return whether anything was another user's.

    The folder itself is closed first and handed over last, so that a start which was cut off does it again. Raises
    ServicesError for a file that the servers cannot have made, such as a link to another user's file.
    """
    if not belongs_to_other(folder, account):
        return False
    former = former_uids()
    _check(folder, folder.lstat(), {*former, os.geteuid()})
    os.chown(folder, os.geteuid(), account.gid, follow_symlinks=False)
    for place, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            _check(Path(place) / name, found, {*former, account.uid})
            os.chown(name, account.uid, account.gid, dir_fd=descriptor, follow_symlinks=False)
    account.own(folder)
    return True


def _check(path: Path, found: os.stat_result, former: set[int]) -> None:
    has_second_name = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
    if found.st_uid not in former or has_second_name:
        what = "is linked from elsewhere" if has_second_name else f"belongs to the user with the id {found.st_uid}"
        raise ServicesError(
            "The embedded services cannot take their data over",
            f"{path} {what}, and no server has made it so",
            "look at what it is and move it away, or set DARKROOM_HOME to a new folder.",
        )
