"""Every setting of Darkroom: its name in the environment, its unit, its default; all faults are reported at once."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json, SecretStr, ValidationError

from worker.core.rules import errors
from worker.core.rules.errors import DarkroomError
from worker.core.rules.setting_values import (
    COMMAND_NAME,
    HookPolicy,
    parse_command,
    parse_hosts,
    parse_listen,
    parse_networks,
)

LIVE_BASE_URL = "https://rivya.ai"
"""The provider's public address (api-quickstart)."""
METRICS_PORT = 9464
"""Where a node serves its metrics: the port that exporters of OpenTelemetry use."""


class SettingsFaulty(DarkroomError):
    """Settings in the environment are invalid; ``faults`` has one sentence for each."""

    error_code = "settings_invalid"
    exit_code = 2

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Keep every fault, so that all of them can be fixed at once."""
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        """List the faults, one on a line."""
        return "\n".join(self.faults)

    def explanation(self) -> str:
        """Say where the faults are."""
        return f"the settings are invalid:\n{self}"


def _seconds(value: object) -> object:
    """Read a plain number as seconds; pydantic takes ISO 8601 as well."""
    if isinstance(value, str):
        text = value.strip().lower()
        units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
        if text[:-1].replace(".", "", 1).isdigit() and text[-1:] in units:
            return timedelta(seconds=float(text[:-1]) * units[text[-1]])
        if text.replace(".", "", 1).isdigit():
            return timedelta(seconds=float(text))
    return value


Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0))]
Interval = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(seconds=1))]


def _names(value: object) -> object:
    """Read names that are separated by commas."""
    return frozenset(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Names of several accounts, and of pools: they are part of names of variables and of queues."""
AccountName = Annotated[str, Field(pattern=f"^{ACCOUNT_NAME.pattern}$")]
CommandName = Annotated[str, Field(pattern=f"^{COMMAND_NAME.pattern}$")]
CommandLine = Annotated[tuple[str, ...], BeforeValidator(parse_command)]


class Settings(BaseModel):
    """One frozen value, read once when a process starts."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    api_key: SecretStr | None = Field(None, alias="RIVYA_API_KEY")
    """The provider's key; without one the provider is the sandbox."""
    base_url: str = Field(LIVE_BASE_URL, alias="RIVYA_BASE_URL", pattern=r"^https?://[^/\s]+")
    """Where the provider is, without /api/v1."""
    home: Path = Field(Path(".darkroom"), alias="DARKROOM_HOME")
    """Folder of the embedded services, the results and the sandbox."""
    database_url: SecretStr | None = Field(None, alias="DARKROOM_DATABASE_URL")
    """postgresql+psycopg://...; without it the embedded Postgres."""
    database_direct_url: SecretStr | None = Field(None, alias="DARKROOM_DATABASE_DIRECT_URL")
    """The server itself, for LISTEN, where DARKROOM_DATABASE_URL is a pooler; without it nodes look each second."""
    database_timeout: Interval = Field(timedelta(seconds=30), alias="DARKROOM_DATABASE_TIMEOUT")
    """How long nodes and the web process wait for an answer of the database before they throw the connection away."""
    broker_timeout: Interval = Field(timedelta(seconds=10), alias="DARKROOM_BROKER_TIMEOUT")
    """How long a node waits for the broker's socket before it throws the connection away."""
    stop_grace: Interval = Field(timedelta(seconds=60), alias="DARKROOM_STOP_GRACE")
    """How long a node that is told to end finishes what it has begun; then it ends, whatever it waits for."""
    broker_url: SecretStr | None = Field(None, alias="DARKROOM_BROKER_URL")
    """redis://, rediss://, amqp:// or amqps://; without it the embedded Valkey."""
    remote_control: bool = Field(default=False, alias="DARKROOM_REMOTE_CONTROL")
    """Whether nodes obey `celery control` and `celery inspect` beyond ping, from any client of the broker."""
    store: str | None = Field(None, alias="DARKROOM_STORE")
    """A folder, or s3:// gs:// az://; without it the folder ``images`` in the home."""
    spool: Path | None = Field(None, alias="DARKROOM_SPOOL")
    """Folder for temporary files; without it the folder ``spool`` in the home."""
    account: str = Field("default", alias="DARKROOM_ACCOUNT", min_length=1, max_length=100)
    """Which account of the database this process works for; of several, the one that is meant where none is named."""
    accounts: tuple["Settings", ...] = Field((), alias="DARKROOM_ACCOUNTS")
    """Several accounts, each with these settings and its own: names separated by commas, or a TOML file."""
    pools: Annotated[frozenset[AccountName], BeforeValidator(_names)] = Field(frozenset(), alias="DARKROOM_POOLS")
    """The pools that the account belongs to, separated by commas."""
    max_in_flight: int = Field(500, alias="DARKROOM_MAX_IN_FLIGHT", ge=1, le=100_000)
    """Most generations in flight at the provider."""
    rate: Annotated[float, Field(gt=0, le=100_000)] | Literal["auto"] = Field("auto", alias="DARKROOM_RATE")
    """Requests per second to the provider, or ``auto``."""
    read_rate: Annotated[float, Field(gt=0, le=100_000)] | None = Field(None, alias="DARKROOM_READ_RATE")
    """Reads per second, if the provider counts them by themselves; without it all requests share one pace."""
    poll_first: Duration = Field(timedelta(seconds=2.5), alias="DARKROOM_POLL_FIRST_S")
    """Wait between a submit and its first poll; the provider documents 2 to 3 s."""
    poll_gap: Duration = Field(timedelta(seconds=5), alias="DARKROOM_POLL_GAP_S")
    """Shortest wait between two polls; the provider documents 5 to 10 s."""
    idempotency_window: Annotated[Duration, Field(le=timedelta(days=7))] = Field(
        timedelta(hours=1), alias="DARKROOM_IDEMPOTENCY_WINDOW"
    )
    """How long a create whose answer was lost may be sent again; the provider documents no figure."""
    upload_reuse: Duration = Field(timedelta(hours=6), alias="DARKROOM_UPLOAD_REUSE")
    """How long an uploaded reference is trusted to be still there; the provider documents no figure."""
    references_timeout: Annotated[Interval, Field(le=timedelta(hours=1))] = Field(
        timedelta(minutes=5), alias="DARKROOM_REFERENCES_TIMEOUT"
    )
    """How long fetching all references of one message may take."""
    references_count: int = Field(1_000, alias="DARKROOM_REFERENCES_COUNT", ge=0, le=100_000)
    """How many references of one message are fetched."""
    references_bytes: int = Field(1_000_000_000, alias="DARKROOM_REFERENCES_BYTES", ge=0)
    """How many bytes all references of one message may have that are fetched."""
    max_attempts: int = Field(3, alias="DARKROOM_MAX_ATTEMPTS", ge=1, le=20)
    """Generations per job, as long as each failed one cost nothing."""
    content_codes: str = Field(",".join(sorted(errors.REFUSED_CONTENT)), alias="DARKROOM_CONTENT_CODES")
    """The provider's codes for content that it refuses, separated by commas; ``none``: there are none."""
    wallet_floor: int | None = Field(None, alias="DARKROOM_WALLET_FLOOR", ge=0)
    """Admission stops before the wallet has fewer credits than this."""
    wallet_every: Interval = Field(timedelta(seconds=60), alias="DARKROOM_WALLET_EVERY")
    """How often the wallet is read; reconciliation explains each interval."""
    seal_every: Interval = Field(timedelta(hours=1), alias="DARKROOM_SEAL_EVERY")
    """How often the entries of the ledger are bound by a seal."""
    reread_every: Interval = Field(timedelta(minutes=15), alias="DARKROOM_REREAD_EVERY")
    """How often the provider is asked again about generations whose end is not known."""
    concurrency: int = Field(16, alias="DARKROOM_CONCURRENCY", ge=1, le=1000)
    """Threads of one worker node."""
    collectors: int = Field(64, alias="DARKROOM_COLLECTORS", ge=1, le=1000)
    """Further threads of one worker node, which download images: images a second times the seconds of a download."""
    confirm_above: int = Field(0, alias="DARKROOM_CONFIRM_ABOVE", ge=0)
    """With a real key, commands at a terminal ask before they spend more credits than this."""
    hook_commands: Json[dict[CommandName, CommandLine]] = Field({}, alias="DARKROOM_HOOK_COMMANDS")
    """Commands that hooks may run on this node, as JSON: ``{"publish": "/usr/local/bin/publish.sh --fast"}``."""
    hook_hosts: Annotated[frozenset[tuple[str, int]], BeforeValidator(parse_hosts)] = Field(
        frozenset(), alias="DARKROOM_HOOK_HOSTS"
    )
    """Hosts that are not public and yet receive hooks, separated by commas: ``shop.internal:8443, 127.0.0.1:9000``."""
    node_metrics: Annotated[tuple[str, int] | None, BeforeValidator(parse_listen)] = Field(
        ("127.0.0.1", METRICS_PORT), alias="DARKROOM_NODE_METRICS"
    )
    """Address and port at which a node serves its metrics and probes; ``off``: nowhere."""
    event_retention: Annotated[Interval, Field(ge=timedelta(hours=1))] = Field(
        timedelta(days=30), alias="DARKROOM_EVENT_RETENTION"
    )
    """How long events that hooks have taken, and the ends that streams were sent, are kept; what is owed stays."""
    web_listen: str = Field(
        "127.0.0.1:8780", alias="DARKROOM_WEB_LISTEN", pattern=r"^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$"
    )
    """Address and port of `darkroom web`; beyond the loopback only with proxies or OIDC."""
    api_requests: int = Field(6_000, alias="DARKROOM_API_REQUESTS", ge=1, le=10_000_000)
    """Requests of one client of the HTTP API in a minute; a client is a token or a user."""
    api_streams: int = Field(1_000, alias="DARKROOM_API_STREAMS", ge=1, le=1_900)
    """Streams of events that are open at once at one web process, which takes 2,000 connections."""
    api_streams_of_one: int = Field(500, alias="DARKROOM_API_STREAMS_OF_ONE", ge=1, le=1_900)
    """Of these, of one client."""
    api_uploads: int = Field(16, alias="DARKROOM_API_UPLOADS", ge=1, le=1_000)
    """Submissions that are received or checked at once; each has its files on the disk."""
    api_uploads_of_one: int = Field(4, alias="DARKROOM_API_UPLOADS_OF_ONE", ge=1, le=1_000)
    """Of these, of one client."""
    api_upload_bytes: int = Field(1 << 30, alias="DARKROOM_API_UPLOAD_BYTES", ge=1)
    """Of an upload of lines, all its parts together."""
    api_json_bytes: int = Field(16 << 20, alias="DARKROOM_API_JSON_BYTES", ge=1, le=1 << 30)
    """Of a submission that is one JSON document, which is held in memory."""
    api_control_bytes: int = Field(64 << 10, alias="DARKROOM_API_CONTROL_BYTES", ge=256, le=16 << 20)
    """Of every other body, and of the part ``batch`` of an upload."""
    api_files: int = Field(10_000, alias="DARKROOM_API_FILES", ge=0, le=1_000_000)
    """Reference images of one upload."""
    api_lines: int = Field(1_000_000, alias="DARKROOM_API_LINES", ge=1, le=1_000_000)
    """Lines of one submission."""
    api_body_grace: Interval = Field(timedelta(seconds=10), alias="DARKROOM_API_BODY_GRACE")
    """For so long a body may come as slowly as it likes."""
    api_body_rate: int = Field(2_048, alias="DARKROOM_API_BODY_RATE", ge=1)
    """After that, the fewest bytes a second on average, counted from the beginning."""
    api_heartbeat: Interval = Field(timedelta(seconds=15), alias="DARKROOM_API_HEARTBEAT")
    """Between two comments in a stream that has nothing to tell."""
    web_url: str | None = Field(None, alias="DARKROOM_WEB_URL", pattern=r"^https?://[^/\s]+(/[\w.~-]+)*/?$")
    """How browsers reach `darkroom web` from outside, such as ``https://darkroom.example.com``.

    With a path, such as ``https://example.com/darkroom``, the proxy takes the path away before it passes a request on.
    """
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(parse_networks)] = Field(
        (), alias="DARKROOM_WEB_TRUSTED_PROXIES"
    )
    """Addresses of proxies that authenticate users and name them in a header, separated by commas."""
    proxy_user_header: str = Field("X-Forwarded-User", alias="DARKROOM_WEB_USER_HEADER", min_length=1)
    """The header in which trusted proxies name the user; they have to remove it from what clients send."""
    oidc_issuer: str | None = Field(None, alias="DARKROOM_OIDC_ISSUER", pattern=r"^https?://[^\s]+$")
    """The identity provider for sign-in (OpenID Connect), as it calls itself."""
    oidc_client_id: str | None = Field(None, alias="DARKROOM_OIDC_CLIENT_ID")
    """How `darkroom web` is registered there; its redirect URI is DARKROOM_WEB_URL/sign-in/oidc/callback."""
    oidc_client_secret: SecretStr | None = Field(None, alias="DARKROOM_OIDC_CLIENT_SECRET")
    """The secret of that client."""
    oidc_claim: str = Field("email", alias="DARKROOM_OIDC_CLAIM", min_length=1)
    """The claim that has the name of the user; ``email`` has to be verified."""
    require_identity: bool = Field(default=False, alias="DARKROOM_REQUIRE_IDENTITY")
    """Whether names that people give themselves (`--by`) are refused: the actor is who is authenticated."""
    approve_above: int | None = Field(None, alias="DARKROOM_APPROVE_ABOVE", ge=0)
    """Submits, retries, caps, resolves, corrections and plans of more credits than this need a second person."""
    log_format: Literal["console", "json"] = Field("console", alias="DARKROOM_LOG_FORMAT")
    """How log lines look."""
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", alias="DARKROOM_LOG_LEVEL")
    """The least severe line that is shown."""

    @property
    def each_account(self) -> tuple["Settings", ...]:
        """The settings of each account that is known here, with a key or without."""
        return self.accounts or (self,)

    @property
    def served(self) -> tuple["Settings", ...]:
        """The settings of each account that a node of this process works for: those whose keys it has."""
        return tuple(each for each in self.each_account if each.api_key is not None)

    def of_account(self, name: str) -> "Settings | None":
        """Return the settings of the account of that name; None: nothing is said of it here."""
        return next((each for each in self.each_account if each.account == name), None)

    @property
    def is_sandbox(self) -> bool:
        """Whether nothing here costs money, because there is no key of any account."""
        return not self.served

    @property
    def hook_policy(self) -> HookPolicy:
        """What hooks may do on this node."""
        return HookPolicy(commands=self.hook_commands, hosts=self.hook_hosts)

    @property
    def spool_folder(self) -> Path:
        """Where temporary files lie."""
        return self.spool or self.home.resolve() / "spool"

    @property
    def store_url(self) -> str:
        """Where images go."""
        return self.store or str(self.home.resolve() / ("sandbox-images" if self.is_sandbox else "images"))


FILE = "_FILE"
"""Ends the name of a variable that names the file with a secret, as in ``RIVYA_API_KEY_FILE``."""
SECRETS = frozenset(
    str(field.alias) for field in Settings.model_fields.values() if field.annotation == SecretStr | None
)
"""The settings that may be in files."""
_MOST_BYTES = 64 * 1024
_FORBIDDEN = stat.S_IWGRP | stat.S_IRWXO


def load() -> Settings:
    """Read the environment, where an empty variable is none; raise SettingsFaulty with every fault in it.

    A secret may be in a file that ``NAME_FILE`` names. pydantic-settings would read the environment as well; importing
    that takes every command 0.1 s, for sources that are not used.
    """
    names = {field.alias for field in Settings.model_fields.values()}
    given = {name: text for name, text in os.environ.items() if text and name in names}
    asked_for = given.pop(ACCOUNTS, None)
    faults: list[str] = []
    for name in sorted(SECRETS):
        given |= _secret(name, name, faults)
    chosen = _validated(given, faults, "")
    accounts = () if asked_for is None else tuple(_accounts(asked_for, given, faults))
    if faults or chosen is None:
        raise SettingsFaulty(tuple(faults))
    return chosen if not accounts else _of_several(accounts, chosen)


def _secret(name: str, variable: str, faults: list[str]) -> dict[str, str]:
    try:
        found = secret(variable)
    except ValueError as error:
        faults.append(f"{variable}{FILE}: {error}")
        return {}
    return {} if found is None else {name: found}


def _validated(given: Mapping[str, object], faults: list[str], where: str) -> Settings | None:
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        faults += [f"{where}{each['loc'][0]}: {each['msg']}" for each in found]
        return None


ACCOUNTS, _ACCOUNT, _KEY = "DARKROOM_ACCOUNTS", "DARKROOM_ACCOUNT", "RIVYA_API_KEY"
_OWN = {
    "base_url": "RIVYA_BASE_URL",
    "rate": "DARKROOM_RATE",
    "read_rate": "DARKROOM_READ_RATE",
    "max_in_flight": "DARKROOM_MAX_IN_FLIGHT",
    "wallet_floor": "DARKROOM_WALLET_FLOOR",
    "pools": "DARKROOM_POOLS",
}
"""What each of several accounts may have of its own, beside its key: in the file, and with ``__NAME`` at the end of the
variable in the environment."""
_IN_FILE = {"name", "key_file", *_OWN}


def variable_of(setting: str, account: str) -> str:
    """Return the variable with the setting of one of several accounts: ``RIVYA_API_KEY__SHOP``."""
    return f"{setting}__{account.upper().replace('-', '_')}"


def _accounts(asked_for: str, given: Mapping[str, str], faults: list[str]) -> Iterator[Settings]:
    """Read several accounts, each with the settings that are common to all and its own."""
    found = _of_file(Path(asked_for), faults) if asked_for.endswith(".toml") else _of_names(asked_for)
    names = [str(each.get("name", "")) for each in found]
    common = {name: value for name, value in given.items() if name not in {_KEY, _ACCOUNT}}
    default = given.get(_ACCOUNT, "default")
    if _KEY in given and default not in names:
        found, names = [{"name": default}, *found], [default, *names]
    if _ACCOUNT in given and default not in names:
        faults.append(f"{_ACCOUNT}: {default} is none of {ACCOUNTS}: {', '.join(names)}")
    if len({variable_of("", name) for name in names}) < len(names):
        faults.append(f"{ACCOUNTS}: two of its accounts have the same name, or names that differ only in case, - and _")
    for each, name in zip(found, names, strict=True):
        if not ACCOUNT_NAME.fullmatch(name):
            faults.append(f"{ACCOUNTS}: an account's name has letters, digits, - and _, and 64 of them at most")
            continue
        key = {_KEY: given[_KEY]} if name == default and _KEY in given else {}
        own = {**common, **_own(each, name), **(_key(each, name, faults) or key), _ACCOUNT: name}
        if (chosen := _validated(own, faults, f"account {name}: ")) is not None:
            yield chosen


def _of_names(names: str) -> list[dict[str, object]]:
    return [{"name": name} for name in filter(None, map(str.strip, names.split(",")))]


def _of_file(path: Path, faults: list[str]) -> list[dict[str, object]]:
    """Read ``[[account]]`` of a TOML file. No key is in it, so that it may be the same on all nodes, and be shown."""
    try:
        found = tomllib.loads(path.read_text()).get("account", [])
    except (OSError, ValueError) as error:
        faults.append(f"{ACCOUNTS}: {path} cannot be read: {error}")
        return []
    if not found or not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        faults.append(f"{ACCOUNTS}: {path} has no table [[account]]")
        return []
    unknown = sorted({str(name) for each in found for name in each if name not in _IN_FILE})
    if unknown:
        permitted = ", ".join(sorted(_IN_FILE))
        faults.append(f"{ACCOUNTS}: {path} has {', '.join(unknown)}; an account may have {permitted}")
    return found


def _own(account: Mapping[str, object], name: str) -> dict[str, object]:
    """Return what the account has of its own; the environment goes before the file."""
    found: dict[str, object] = {}
    for field, setting in _OWN.items():
        variable = variable_of(setting, name)
        if text := os.environ.get(variable):
            found[setting] = text
        elif field in account:
            found[setting] = account[field]
    return found


def _key(account: Mapping[str, object], name: str, faults: list[str]) -> dict[str, str]:
    """Return the account's key: of its variable, of the file that its variable names, or that the file names."""
    found = _secret(_KEY, variable_of(_KEY, name), faults)
    if found or "key_file" not in account:
        return found
    try:
        return {_KEY: _content(Path(str(account["key_file"])))}
    except ValueError as error:
        faults.append(f"{ACCOUNTS}: key_file of {name}: {error}")
        return {}


def _of_several(accounts: tuple[Settings, ...], chosen: Settings) -> Settings:
    """Return the settings of the account that is meant where none is named, with those of all accounts."""
    named = [each for each in accounts if each.account == chosen.account]
    is_chosen = "account" in chosen.model_fields_set or chosen.api_key is not None
    default = named[0] if named and is_chosen else accounts[0]
    return default.model_copy(update={"accounts": accounts})


def secret(name: str) -> str | None:
    """Return a secret of the environment, or of the file that ``NAME_FILE`` names; raise ValueError for a bad file."""
    value, path = os.environ.get(name) or None, os.environ.get(name + FILE)
    if not path:
        return value
    if value is not None:
        raise ValueError(f"{name} is set, too: set one of the two")
    return _content(Path(path))


def in_file(name: str) -> str | None:
    """Return a secret that is in a file; None where it is in the environment, or nowhere."""
    return secret(name) if os.environ.get(name + FILE) else None


def _content(path: Path) -> str:
    """Read a secret without its last line end; who else may read or change the file knows or chooses the secret."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            _check(path, found)
            text = file.read(_MOST_BYTES + 1).decode()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    if len(text) > _MOST_BYTES or not text.strip():
        raise ValueError(f"{path} is {'empty' if not text.strip() else 'no secret: it has more than 64 KiB'}")
    return text.rstrip("\r\n")


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} is no file")
    if found.st_uid not in {0, os.geteuid()}:
        raise ValueError(f"{path} belongs to another user ({found.st_uid})")
    if found.st_mode & _FORBIDDEN:
        mode = stat.S_IMODE(found.st_mode)
        raise ValueError(f"{path} can be read or changed by others (mode {mode:o}): chmod 0400 or 0440")
