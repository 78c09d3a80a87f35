"""Every setting of Darkroom: its name in the environment, its unit, its default; all faults are reported at once."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from worker.core.rules import content_codes

LIVE_BASE_URL = "https://rivya.ai"
"""The provider's public address (api-quickstart)."""


class SettingsFaulty(Exception):
    """The environment holds settings that cannot be used; ``faults`` has one sentence for each."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Keep every fault, so that one look at the message mends them all."""
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        """List the faults, one on a line."""
        return "\n".join(self.faults)


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
    """How long a node waits for an answer of the database before it throws the connection away."""
    broker_timeout: Interval = Field(timedelta(seconds=10), alias="DARKROOM_BROKER_TIMEOUT")
    """How long a node waits for the broker's socket before it throws the connection away."""
    stop_grace: Interval = Field(timedelta(seconds=60), alias="DARKROOM_STOP_GRACE")
    """How long a node that is told to end finishes what it has begun; then it ends, whatever it waits for."""
    broker_url: SecretStr | None = Field(None, alias="DARKROOM_BROKER_URL")
    """redis://, rediss://, amqp:// or amqps://; without it the embedded Valkey."""
    remote_control: bool = Field(default=False, alias="DARKROOM_REMOTE_CONTROL")
    """Whether nodes obey `celery control` and `celery inspect` beyond ping, of whoever has the broker's URL."""
    store: str | None = Field(None, alias="DARKROOM_STORE")
    """A folder, or s3:// gs:// az://; without it the folder ``images`` in the home."""
    spool: Path | None = Field(None, alias="DARKROOM_SPOOL")
    """Folder for temporary files; without it the folder ``spool`` in the home."""
    account: str = Field("default", alias="DARKROOM_ACCOUNT", min_length=1, max_length=100)
    """Which account of the database this process works for."""
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
    content_codes: str = Field(",".join(sorted(content_codes.DEFAULT)), alias="DARKROOM_CONTENT_CODES")
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
    log_format: Literal["console", "json"] = Field("console", alias="DARKROOM_LOG_FORMAT")
    """How log lines look."""
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", alias="DARKROOM_LOG_LEVEL")
    """The least severe line that is shown."""

    @property
    def is_sandbox(self) -> bool:
        """Whether nothing here costs money, because there is no key."""
        return self.api_key is None

    @property
    def spool_folder(self) -> Path:
        """Where temporary files lie."""
        return self.spool or self.home.resolve() / "spool"

    @property
    def store_url(self) -> str:
        """Where images go."""
        return self.store or str(self.home.resolve() / ("sandbox-images" if self.is_sandbox else "images"))


def load() -> Settings:
    """Read the environment, where an empty variable is none; raise SettingsFaulty with every fault in it.

    pydantic-settings would read it as well; importing that takes every command 0.1 s, for sources that are not used.
    """
    names = {field.alias for field in Settings.model_fields.values()}
    try:
        return Settings.model_validate({name: text for name, text in os.environ.items() if text and name in names})
    except ValidationError as error:
        faults = tuple(f"{e['loc'][0]}: {e['msg']}" for e in error.errors(include_input=False, include_url=False))
        raise SettingsFaulty(faults) from None
