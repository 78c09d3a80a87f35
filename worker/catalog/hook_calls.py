"""One try to tell a hook: a signed POST, or a command with the message on its standard input."""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from tempfile import TemporaryFile
from typing import IO

import requests

POST_TIMEOUT = timedelta(seconds=15)
COMMAND_TIMEOUT = timedelta(seconds=60)
_SECRETS = ("RIVYA_API_KEY", "DARKROOM_DATABASE_URL", "DARKROOM_BROKER_URL")
"""What a command is not given of a node's environment."""
_SHOWN_BYTES = 300


class NotTaken(Exception):
    """The receiver did not take the message; it is sent again later."""


def post(url: str, content: bytes, headers: Mapping[str, str], *, timeout: timedelta = POST_TIMEOUT) -> None:
    """The receiver has answered with a 2xx; redirects are not followed. Raises NotTaken."""
    try:
        with requests.post(
            url,
            data=content,
            headers=dict(headers),
            timeout=timeout.total_seconds(),
            allow_redirects=False,
            stream=True,
        ) as answer:
            if answer.status_code not in range(200, 300):
                raise NotTaken(f"HTTP {answer.status_code}")
    except requests.RequestException as error:
        raise NotTaken(f"{type(error).__name__}: {error}"[:_SHOWN_BYTES]) from error


def command(line: str, content: bytes, *, timeout: timedelta = COMMAND_TIMEOUT) -> None:
    """The command has ended with 0; it is started without a shell, and ended with its children. Raises NotTaken."""
    # Files and not pipes: a child that outlives the command may hold a pipe open for ever.
    with TemporaryFile() as given, TemporaryFile() as said:
        given.write(content)
        given.seek(0)
        status = _run(line, given, said, timeout)
        if status != 0:
            said.seek(0)
            words = said.read()[-_SHOWN_BYTES:].decode(errors="replace").strip()
            raise NotTaken(f"ended with {status}{': ' + words if words else ''}")


def _run(line: str, given: IO[bytes], said: IO[bytes], timeout: timedelta) -> int:
    environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    try:
        process = subprocess.Popen(  # noqa: S603 - the catalog's owner named the command
            shlex.split(line),
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
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
