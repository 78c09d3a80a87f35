# ruff: noqa: RUF009 -- each of these calls makes a dataclass field
"""Every switch of the sandbox: its default, what it means, and how the rule behind it is known."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from ops.sandbox.choices import (
    ONLY_CREATES,
    BurnsKey,
    Comparison,
    EdgeBody,
    FailedError,
    Fault,
    FileKeys,
    InFlight,
    KeyScope,
    Kind,
    LengthUnit,
    Mark,
    NoCredits,
    RateAlgorithm,
    ReferenceUrls,
    ReplayAnswer,
    ResultForm,
    ResultType,
    RetryAfter,
    UnknownKeys,
    UrlsField,
    WebhookKey,
    WebhookSignature,
)
from ops.sandbox.models import STATUSES, made_up


def _rule(default: Any, mark: Mark, meaning: str, *, one_of: tuple[int, ...] = ()) -> Any:
    return field(default=default, metadata={"mark": mark, "meaning": meaning, "one_of": one_of})


def _names(mark: Mark, meaning: str) -> Any:
    return field(default_factory=dict, metadata={"mark": mark, "meaning": meaning})


_D, _I, _U, _F, _P = Mark.DOCUMENTED, Mark.INFERRED, Mark.UNKNOWN, Mark.FAULT, Mark.PACE


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One complete behaviour of the provider."""

    # Creating a generation
    create_status: int = _rule(200, _U, "HTTP status of a create.", one_of=(200, 201, 202))
    unknown_keys: UnknownKeys = _rule(UnknownKeys.REJECT, _U, "Keys in body, params or form that no page lists.")
    prompt_unit: LengthUnit = _rule(LengthUnit.CODE_POINTS, _U, "What the prompt's limit counts.")
    blank_prompt_refused: bool = _rule(True, _I, "A prompt of white space only is refused.")
    client_request_id_max: int = _rule(128, _I, "Longest client_request_id of a create.")
    reference_urls: ReferenceUrls = _rule(ReferenceUrls.FILES_ONLY, _U, "Addresses that a reference may have.")
    not_found_after_create_s: float = _rule(0.0, _U, "Seconds for which a new generation is answered with 404.")
    price_delta: int = _rule(0, _F, "Added to the listed price of each create: a price that has drifted.")

    # Models
    extra_models: Mapping[str, Mapping[str, Any]] = _names(_P, "Models beside the documented ones, by id.")
    model_status: Mapping[str, str] = _names(
        _F, "What a model is by its id: available, coming_soon, studio_only or removed; creates for others are refused."
    )
    model_refused_code: str = _rule("validation_failed", _U, "Code of a create for a model that is not available.")
    model_refused_status: int = _rule(
        400, _U, "HTTP status of a create for a model that is not available.", one_of=(400, 403, 404, 409, 410, 422)
    )

    # Idempotency
    idempotency_scope: KeyScope = _rule(KeyScope.ACCOUNT, _U, "Whose Idempotency-Keys are told apart.")
    idempotency_window_s: float = _rule(86400.0, _U, "Seconds for which a key is remembered.")
    idempotency_key_max: int = _rule(255, _U, "Longest Idempotency-Key; a longer one is refused.")
    idempotency_in_flight: InFlight = _rule(InFlight.WAIT, _U, "Replay while the first request is worked on.")
    idempotency_replay: ReplayAnswer = _rule(ReplayAnswer.CURRENT, _U, "Picture that a replay shows.")
    idempotency_burns: BurnsKey = _rule(BurnsKey.NOTHING, _U, "Failed first attempts that use the key up.")
    idempotency_compare: Comparison = _rule(Comparison.CANONICAL, _U, "What the same body means.")
    idempotency_replay_header: str = _rule("", _U, "Header that marks a replay; empty sends none.")
    idempotency_replay_status: int = _rule(
        0, _U, "HTTP status of a replay; 0 is the status of a create.", one_of=(0, 200, 201, 202)
    )

    # Credits
    wallet: int = _rule(10000, _P, "Credits that an account starts with, when it is opened.")
    refill_below: int = _rule(0, _P, "Available credits below which a wallet is filled up to `wallet`; 0: never.")
    no_credits: NoCredits = _rule(NoCredits.HTTP_ERROR, _U, "How an empty wallet shows.")
    no_credits_status: int = _rule(402, _U, "HTTP status of insufficient_credits.", one_of=(400, 402, 403, 409))
    no_credits_reserved: bool = _rule(False, _U, "An unfunded generation shows its price as reserved.")
    refund_after_s: float = _rule(0.0, _U, "Seconds from a failure to the return of its credits.")
    balance_excludes_reserved: bool = _rule(True, _I, "current_credits is without what is reserved.")

    # The answer of a finished generation
    urls_field: UrlsField = _rule(UrlsField.PRESENT, _I, "How result.urls shows on success.")
    failed_error: FailedError = _rule(FailedError.OBJECT, _I, "How error shows on a failed generation.")
    result_ttl_s: float = _rule(0.0, _U, "Seconds for which a result can be fetched; 0 is for ever.")
    result_gone_status: int = _rule(404, _U, "HTTP status of a result that is gone.", one_of=(403, 404, 410))
    result_ready_after_s: float = _rule(0.0, _U, "Seconds from success until the result can be fetched.")
    result_needs_key: bool = _rule(False, _U, "Fetching a result needs the API key.")
    result_redirect: bool = _rule(False, _U, "A result's address redirects once.")
    result_chunked: bool = _rule(False, _U, "A result comes chunked, without Content-Length.")
    result_form: ResultForm = _rule(ResultForm.ORDERED, _U, "What a result is, whatever was ordered.")
    result_pixels: int = _rule(0, _U, "Pixels on each side of a result; 0 is what was ordered.")
    result_type: ResultType = _rule(ResultType.EXACT, _U, "Content-Type of a result.")

    # Files
    file_status: int = _rule(200, _U, "HTTP status of an upload.", one_of=(200, 201))
    file_keys: FileKeys = _rule(FileKeys.FULL, _U, "Keys of the answer beside id and url.")
    upload_ttl_s: float = _rule(0.0, _U, "Seconds for which an upload can be used; 0 is for ever.")
    upload_dedupe: bool = _rule(False, _U, "The same bytes give the same file.")
    upload_extension_checked: bool = _rule(False, _U, "The name's extension must fit the content.")
    upload_oversize_status: int = _rule(400, _I, "HTTP status of an upload that is too big.", one_of=(400, 413))
    upload_type_status: int = _rule(400, _I, "HTTP status of an upload of a wrong type.", one_of=(400, 415))
    megabyte: int = _rule(2**20, _U, "Bytes in a megabyte of a size limit.", one_of=(10**6, 2**20))

    # Webhooks
    webhook_loopback: bool = _rule(False, _P, "Webhooks may go to this machine, over HTTP.")
    webhook_signature: WebhookSignature = _rule(WebhookSignature.STANDARD, _U, "How webhooks are signed.")
    webhook_key: WebhookKey = _rule(WebhookKey.DATA, _U, "Under which key of a webhook the generation is.")
    webhook_delay_s: float = _rule(0.1, _P, "Median seconds from the end of a generation to its webhook.")
    webhook_delay_sigma: float = _rule(0.8, _P, "Spread of the log-normal delays.")
    webhook_timeout_s: float = _rule(5.0, _U, "Seconds that the receiver has to answer.")
    webhook_attempts: int = _rule(3, _U, "How often a webhook is sent that is not answered with 2xx.")
    webhook_retry_s: float = _rule(5.0, _U, "Seconds to the second attempt; twice as many to each further one.")
    webhook_lost: float = _rule(0.0, _F, "Share of webhooks that are never sent, from 0 to 1.")
    webhook_doubled: float = _rule(0.0, _F, "Share of webhooks that are sent twice.")
    webhook_forged: float = _rule(0.0, _F, "Share of generations with a webhook before their end that has a wrong key.")

    # Requests per window
    rate_limit: int = _rule(0, _U, "Requests per window and key; 0 is no limit.")
    rate_window_s: float = _rule(1.0, _U, "Length of the window.")
    rate_algorithm: RateAlgorithm = _rule(RateAlgorithm.FIXED_WINDOW, _U, "How requests are counted.")
    rate_per_endpoint: bool = _rule(False, _U, "Each endpoint has a limit of its own.")
    rate_headers: bool = _rule(False, _U, "X-RateLimit headers are sent.")
    retry_after: RetryAfter = _rule(RetryAfter.SECONDS, _U, "How a 429 says when to come back.")

    # Pace
    seed: int = _rule(1, _P, "Seed of latencies and faults.")
    latency_median_s: float = _rule(3.0, _P, "Median seconds from create to end; 0 ends at the first poll.")
    latency_sigma: float = _rule(0.35, _P, "Spread of the log-normal latencies.")
    queued_share: float = _rule(0.2, _P, "Share of the latency that is spent queued.")
    create_takes_s: float = _rule(0.0, _P, "Seconds that a create is worked on before it has happened.")
    plain_images: bool = _rule(False, _P, "One image per size and format, without text.")

    # Faults
    api_disabled: bool = _rule(False, _D, "All of the API answers 503 public_api_disabled.")
    slow_s: float = _rule(2.0, _F, "Seconds that the fault `slow` holds an answer back.")
    late_s: float = _rule(60.0, _F, "Seconds after which the fault `late_create` carries a create out.")
    throttle_retry_after_s: int = _rule(1, _F, "Retry-After of the fault `throttle`.")
    edge_503_body: EdgeBody = _rule(EdgeBody.HTML, _I, "Body of the fault `http_503`.")
    reserved_shown: str = _rule("", _F, "JSON that a create shows as its reserved_credits; empty is the price.")
    failing_prompts: str = _rule("", _F, "Generations whose prompt contains this text fail; empty is none.")
    failing_prompts_charge: int = _rule(0, _F, "Credits that such a failure costs, at most the price.")
    refused_prompts: str = _rule("", _F, "Creates whose prompt contains this text are refused; empty is none.")
    refused_code: str = _rule("validation_failed", _F, "Code of such a refusal.")
    refused_status: int = _rule(400, _F, "HTTP status of such a refusal.", one_of=(400, 403, 404, 422))
    moderated_prompts: str = _rule("", _F, "Prompts that contain this text are refused for their content.")
    moderated_share: float = _rule(0.0, _F, "Share of all prompts that are, from 0 to 1, chosen by a hash.")
    moderation_code: str = _rule("content_policy_violation", _U, "Code of a refusal for the content.")
    moderation_status: int = _rule(
        0, _U, "HTTP status of such a create; 0 takes it, and the generation fails.", one_of=(0, 400, 403, 422, 451)
    )
    faults: Mapping[str, Mapping[str, float]] = _names(
        _F, "Probability of each fault per kind of request; `*` is every kind."
    )

    def merged(self, changes: Mapping[str, object]) -> "Settings":
        """These settings with the changes in place, each checked.

        Raises SettingsError for an unknown name or value. `faults` are merged per kind.
        """
        known = {f.name: f for f in fields(self)}
        clean: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise SettingsError(name, "there is no such setting", f"one of: {', '.join(sorted(known))}")
            if name in CHECKS:
                clean[name] = CHECKS[name](getattr(self, name), value)
            else:
                clean[name] = checked_value(known[name], getattr(self, name), value)
        return replace(self, **clean)

    def as_json(self) -> dict[str, object]:
        """All settings by name, as JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Name, mark, default and meaning of each setting, in order."""
    for name, value in Settings().as_json().items():
        meta = Settings.__dataclass_fields__[name].metadata
        shown = value.value if isinstance(value, StrEnum) else value
        yield (
            name,
            str(meta["mark"]),
            str(shown).lower() if isinstance(shown, bool) else str(shown),
            meta["meaning"],
        )


EVERY_KIND = "*"
"""Stands for every kind of request in `faults`."""


class SettingsError(Exception):
    """A setting that cannot be used: which one, why, and what is permitted."""

    def __init__(self, name: str, reason: str, permitted: str) -> None:
        super().__init__(name, reason, permitted)
        self.name = name
        self.reason = reason
        self.permitted = permitted

    def __str__(self) -> str:
        return f"setting {self.name!r}: {self.reason}; permitted: {self.permitted}"


def checked_value(spec: Field[Any], current: object, value: object) -> object:
    """The value in the type of the current one; raises SettingsError."""
    if isinstance(current, StrEnum):
        return _checked_choice(spec.name, type(current), value)
    if isinstance(current, bool):
        return _checked_type(spec.name, value, bool, "true or false")
    if isinstance(current, str):
        return _checked_type(spec.name, value, str, "a text")
    return _checked_number(spec, value, whole=isinstance(current, int))


def checked_faults(current: Mapping[str, Mapping[str, float]], value: object) -> dict[str, dict[str, float]]:
    """The current probabilities with each kind in `value` replaced; raises SettingsError."""
    if not isinstance(value, Mapping):
        raise SettingsError("faults", "not an object", '{"create": {"lost_reply": 0.05}}')
    merged = {kind: dict(odds) for kind, odds in current.items()}
    for kind, odds in value.items():
        merged[_checked_kind(kind)] = _checked_odds(f"faults.{kind}", kind, odds)
    return merged


def _checked_models(current: Mapping[str, Any], value: object) -> dict[str, Any]:
    shape = '{"my-model": {"credits": 2, "prompt_max": 100, "references_max": 0, "reference_mb": 0, "params": {}}}'
    if not isinstance(value, Mapping):
        raise SettingsError("extra_models", "not an object", shape)
    try:
        for id_, entry in value.items():
            made_up(id_, entry)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise SettingsError("extra_models", f"not usable: {error!r}", shape) from error
    return {**current, **value}


def _checked_statuses(current: Mapping[str, str], value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not set(value.values()) <= set(STATUSES):
        raise SettingsError("model_status", f"{value!r} is not usable", f"for each model: {', '.join(STATUSES)}")
    return {**current, **value}


CHECKS: Mapping[str, Callable[[Any, object], Any]] = {
    "faults": checked_faults,
    "extra_models": _checked_models,
    "model_status": _checked_statuses,
}
"""How settings that are objects are merged; the others have one value."""


def _checked_kind(kind: str) -> str:
    if kind != EVERY_KIND and kind not in list(Kind):
        raise SettingsError("faults", f"no kind of request {kind!r}", ", ".join([EVERY_KIND, *Kind]))
    return kind


def _checked_odds(name: str, kind: str, odds: object) -> dict[str, float]:
    if not isinstance(odds, Mapping):
        raise SettingsError(name, "not an object", '{"lost_reply": 0.05}')
    clean: dict[str, float] = {}
    for fault, share in odds.items():
        _check_fault(name, kind, fault)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise SettingsError(f"{name}.{fault}", f"{share!r} is not a probability", "0 to 1")
        clean[fault] = float(share)
    return clean


def _check_fault(name: str, kind: str, fault: str) -> None:
    if fault not in list(Fault):
        raise SettingsError(name, f"no fault {fault!r}", ", ".join(Fault))
    if fault in ONLY_CREATES and kind not in {Kind.CREATE, EVERY_KIND}:
        raise SettingsError(name, f"{fault!r} happens to creates", "the kind create")


def _checked_choice(name: str, choices: type[StrEnum], value: object) -> StrEnum:
    if value not in list(choices):
        raise SettingsError(name, f"{value!r} is not a choice", ", ".join(choices))
    return choices(str(value))


def _checked_type(name: str, value: object, wanted: type, permitted: str) -> object:
    if not isinstance(value, wanted):
        raise SettingsError(name, f"{value!r} has the wrong type", permitted)
    return value


def _checked_number(spec: Field[Any], value: object, *, whole: bool) -> int | float:
    permitted = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise SettingsError(spec.name, f"{value!r} has the wrong type", permitted)
    if spec.metadata["one_of"] and value not in spec.metadata["one_of"]:
        raise SettingsError(spec.name, f"{value!r} is not a choice", ", ".join(map(str, spec.metadata["one_of"])))
    if value < 0 and spec.name != "price_delta":
        raise SettingsError(spec.name, f"{value!r} is negative", f"{permitted} of at least 0")
    return value if whole else float(value)
