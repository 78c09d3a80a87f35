"""One try to tell a hook: a signed POST, or a command with the message on its standard input."""

import http.client
import os
import shlex
import signal
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import timedelta
from functools import cache
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import SplitResult, quote, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from worker.storage.fetch.pinned import Deadline, PinnedConnection

POST_TIMEOUT = timedelta(seconds=15)
"""For all of it, from the first byte sent to the last line of the answer's head."""
COMMAND_TIMEOUT = timedelta(seconds=60)
_CONNECT_S = 5.0
_LENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""What a command is given of a node's environment: that also holds keys and passwords."""
_SHOWN_BYTES = 300


class NotTaken(Exception):
    """The receiver did not take the message; it is sent again later."""


def post(url: str, content: bytes, headers: Mapping[str, str], *, timeout: timedelta = POST_TIMEOUT) -> None:
    """The receiver has answered with a 2xx; redirects are not followed, proxies not used. Raises NotTaken."""
    parts = urlsplit(url)
    total_s = timeout.total_seconds()
    connection = _connection(parts, total_s)
    with closing(connection), Deadline(connection, total_s=total_s) as deadline:
        try:
            connection.request("POST", _target(parts), body=content, headers=dict(headers))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = f"no answer within {total_s:g} s"
            raise NotTaken(late if deadline.is_over else f"{type(error).__name__}: {error}"[:_SHOWN_BYTES]) from error
    if status not in range(200, 300):
        raise NotTaken(f"HTTP {status}")


def _connection(parts: SplitResult, total_s: float) -> PinnedConnection:
    is_secret = parts.scheme == "https"
    host = parts.hostname or ""
    return PinnedConnection(
        host=host,
        port=parts.port or (http.client.HTTPS_PORT if is_secret else http.client.HTTP_PORT),
        addresses=(host,),
        tls=_tls() if is_secret else None,
        connect_s=min(_CONNECT_S, total_s),
        read_s=total_s,
    )


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~")
    return f"{path}?{query}" if query else path


def command(
    line: str, content: bytes, facts: Mapping[str, str] | None = None, *, timeout: timedelta = COMMAND_TIMEOUT
) -> None:
    """The command has ended with 0; it is started without a shell, and ended with its children. Raises NotTaken.

    Its environment is ``facts`` and the little that every command needs.
    """
    try:
        status, words = _told(line, content, facts or {}, timeout)
    except OSError as error:
        raise NotTaken(f"the disk for temporary files failed: {error.strerror}") from error
    if status != 0:
        raise NotTaken(f"ended with {status}{': ' + words if words else ''}")


def _told(line: str, content: bytes, facts: Mapping[str, str], timeout: timedelta) -> tuple[int, str]:
    """Return the command's exit status and its last words."""
    # Files and not pipes: a child that outlives the command may hold a pipe open for ever.
    with TemporaryFile() as given, TemporaryFile() as said:
        given.write(content)
        given.seek(0)
        status = _run(line, given, said, facts, timeout)
        said.seek(0)
        return status, said.read()[-_SHOWN_BYTES:].decode(errors="replace").strip()


def _run(line: str, given: IO[bytes], said: IO[bytes], facts: Mapping[str, str], timeout: timedelta) -> int:
    lent = {name: os.environ[name] for name in _LENT if name in os.environ}
    try:
        process = subprocess.Popen(  # noqa: S603 - the catalog's owner named the command
            shlex.split(line),
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=lent | dict(facts),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise NotTaken(f"cannot be started: {error}") from error
    try:
        return process.wait(timeout.total_seconds())
    except subprocess.TimeoutExpired as error:
        raise NotTaken(f"did not end within {timeout.total_seconds():g} s") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
