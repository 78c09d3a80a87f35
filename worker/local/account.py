"""Which user the servers run as: the caller, or an unprivileged one when the caller is root."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from worker.local.errors import ServicesError

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All that a server sees of an environment: the caller's may hold an API key."""
RUN_TIMEOUT_S = 600
"""initdb writes 40 MB safely to disk, which is a matter of minutes on the slowest ones."""


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


def current() -> Account:
    """Return the account for this caller: itself, or ``nobody`` for root, whom Postgres refuses."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), is_other=False)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise ServicesError(
            "Postgres does not run as root",
            "this system has no user called nobody to run it as",
            "run the command as an ordinary user, or add the user nobody.",
        ) from error
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid, is_other=True)
