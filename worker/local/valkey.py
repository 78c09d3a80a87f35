"""How the embedded Valkey, the message broker, is configured and started, and when it is ready."""

import socket
from dataclasses import dataclass
from pathlib import Path

from worker.local import binaries, ports
from worker.local.account import Account

NAME = "valkey"
ANSWER_TIMEOUT_S = 2.0


def pid_file(data: Path) -> Path:
    """Return the file in which the server itself writes its process id."""
    return data / "valkey.pid"


@dataclass(frozen=True, kw_only=True)
class Valkey:
    """One Valkey server: its data folder, the account it runs as, and its durability."""

    data: Path
    account: Account
    password: str
    fsync: bool

    name = NAME

    def prepare(self) -> None:
        """Make the data folder when there is none, and forget a server that is gone."""
        pid_file(self.data).unlink(missing_ok=True)
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            self.account.own(self.data)

    def command(self, port: int) -> list[str]:
        """Return the command that starts the server; the password is in a private file and not in it."""
        settings = {
            "bind": ports.HOST,
            "port": port,
            "requirepass": self.password,
            "dir": self.data,
            "pidfile": pid_file(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec" if self.fsync else "no",
            "maxmemory-policy": "noeviction",
        }
        lines = [f'{key} "{value}"' for key, value in settings.items()]
        return [str(binaries.valkey(self.account)), str(self._configure([*lines, 'save ""']))]

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
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.account.own(path)
        return path
