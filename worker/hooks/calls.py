"""One delivery to a hook: the signed event, as a POST or on the standard input of a command."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import SplitResult, quote

from standardwebhooks import Webhook
from urllib3.response import BaseHTTPResponse

from worker.core.http import FAILURES, Attempt, cause_of
from worker.core.rules import events
from worker.hooks.queries.deliveries import Due
from worker.storage.fetch.addresses import AddressPolicy, system_addresses
from worker.storage.fetch.hop import FetchFailed, FetchLimits, FetchProblem, Hop, checked_parts, pinned_connection

POST_TIMEOUT = timedelta(seconds=15)
"""For all of it, from looking the host up to what is read of the answer."""
COMMAND_TIMEOUT = timedelta(seconds=60)
_CONNECT_S = 5.0
_LENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""What a command is given of a node's environment: that also holds keys and passwords."""
_SHOWN_BYTES = 300
HEAD_BYTES = 1_000
"""How much of an answer's body is read, and kept."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a receiver answered."""

    status: int | None = None
    """Of HTTP; None of a command."""
    head: str | None = None
    """The beginning of the body."""


class NotTaken(Exception):
    """The receiver did not take the event; it is sent again later."""

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        """Keep what was answered, if anything was."""
        super().__init__(message, answer)
        self.message = message
        self.answer = answer or Answer()

    def __str__(self) -> str:
        """Return what went wrong."""
        return self.message


def post(
    url: str, content: bytes, headers: Mapping[str, str], *, allow: AddressPolicy, timeout: timedelta = POST_TIMEOUT
) -> Answer:
    """Return a receiver's answer, a 2xx; redirects are not followed, proxies not used. Raises NotTaken.

    Only addresses that ``allow`` permits are connected to.
    """
    total_s = timeout.total_seconds()
    hop = _hop(url, allow, total_s)
    try:
        parts = checked_parts(hop)
        connection = pinned_connection(hop, parts)
    except FetchFailed as error:
        raise NotTaken(_refusal(error)) from error
    with closing(connection), Attempt(total_s=total_s) as attempt:
        try:
            connection.request("POST", _target(parts), body=content, headers=dict(headers), preload_content=False)
            response = connection.getresponse()
        except FAILURES as error:
            late, cause = f"no answer within {total_s:g} s", cause_of(error)
            raise NotTaken(late if attempt.is_over else f"{type(cause).__name__}: {cause}"[:_SHOWN_BYTES]) from error
        answer = Answer(status=response.status, head=_head(response))
    if response.status in range(300, 400):
        raise NotTaken(f"HTTP {response.status}: redirects are not followed", answer)
    if response.status not in range(200, 300):
        raise NotTaken(f"HTTP {response.status}", answer)
    return answer


def _head(response: BaseHTTPResponse) -> str | None:
    """Return the beginning of the body, for a person; the status alone says how the delivery went."""
    try:
        content = response.read(HEAD_BYTES, decode_content=False)
    except FAILURES:
        return None
    return content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}") or None


def _hop(url: str, allow: AddressPolicy, total_s: float) -> Hop:
    limits = FetchLimits(max_bytes=0, total_s=total_s, connect_s=min(_CONNECT_S, total_s), read_s=total_s)
    return Hop(url=url, limits=limits, allow=allow, resolve=system_addresses, ca_file=None, remaining_s=total_s)


def _refusal(error: FetchFailed) -> str:
    if error.kind is FetchProblem.REFUSED_ADDRESS:
        return f"{error.reason}: nothing was sent; DARKROOM_HOOK_HOSTS of the nodes lists private hosts that may be"
    return f"the address {error.reason}"


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~")
    return f"{path}?{query}" if query else path


def command(
    words: Sequence[str],
    content: bytes,
    facts: Mapping[str, str] | None = None,
    *,
    timeout: timedelta = COMMAND_TIMEOUT,
) -> None:
    """The command has ended with 0; it is started without a shell, and ended with its children. Raises NotTaken.

    Its environment is ``facts`` and the little that every command needs.
    """
    try:
        status, said = _told(words, content, facts or {}, timeout)
    except OSError as error:
        raise NotTaken(f"the disk for temporary files failed: {error.strerror}") from error
    if status != 0:
        raise NotTaken(f"ended with {status}{': ' + said if said else ''}")


def _told(words: Sequence[str], content: bytes, facts: Mapping[str, str], timeout: timedelta) -> tuple[int, str]:
    """Return the command's exit status and its last words."""
    # Files and not pipes: a child that outlives the command may hold a pipe open for ever.
    with TemporaryFile() as given, TemporaryFile() as said:
        given.write(content)
        given.seek(0)
        status = _run(words, given, said, facts, timeout)
        said.seek(0)
        return status, said.read()[-_SHOWN_BYTES:].decode(errors="replace").strip()


def _run(words: Sequence[str], given: IO[bytes], said: IO[bytes], facts: Mapping[str, str], timeout: timedelta) -> int:
    lent = {name: os.environ[name] for name in _LENT if name in os.environ}
    try:
        process = subprocess.Popen(  # noqa: S603 - this node's own settings have the command
            list(words),
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


ID_HEADER = "webhook-id"
"""The event's id; all deliveries of it have the same."""
TIMESTAMP_HEADER = "webhook-timestamp"
"""When it was sent, in whole seconds since 1970; an old one may be refused."""
SIGNATURE_HEADER = "webhook-signature"
"""``v1,`` and the HMAC-SHA256 in base64 over id, timestamp and body: one for each secret, separated by spaces."""


def event_body(due: Due, url: Callable[[str], str]) -> bytes:
    """Return the bytes that are sent: the same for each try, with the address of each file."""
    data = dict(due.data)
    if "items" in data:
        data["items"] = [each | {"url": url(each["file"])} for each in data["items"]]
    content = {
        "id": events.public_id(due.event_id),
        "type": due.type,
        "version": due.version,
        "created_at": due.created_at.astimezone(UTC).isoformat(),
        "data": data,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def event_facts(due: Due) -> dict[str, str]:
    """Return what a command finds in its environment beside the event."""
    return {
        "DARKROOM_EVENT": due.type,
        "DARKROOM_EVENT_ID": events.public_id(due.event_id),
        "DARKROOM_CATALOG": str(due.data.get("catalog", "")),
    }


def event_headers(due: Due, content: bytes, *, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the headers of a POST, signed with each of the secrets at this second (standardwebhooks.com)."""
    event_id, body = events.public_id(due.event_id), content.decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "darkroom",
        ID_HEADER: event_id,
        TIMESTAMP_HEADER: str(int(now.timestamp())),
        SIGNATURE_HEADER: " ".join(Webhook(secret).sign(event_id, now.astimezone(UTC), body) for secret in secrets),
    }
