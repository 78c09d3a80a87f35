"""The closed sets that the sandbox's settings, faults and books are written in."""

from enum import StrEnum


class Mark(StrEnum):
    """How a rule of the provider is known, or what else a setting is for."""

    DOCUMENTED = "documented"
    INFERRED = "inferred"
    UNKNOWN = "unknown"
    FAULT = "fault"
    PACE = "pace"


class Kind(StrEnum):
    """What a request asks for; faults, limits and books are kept per kind."""

    CREATE = "create"
    GET = "get"
    UPLOAD = "upload"
    FILE = "file"
    CREDITS = "credits"
    MODELS = "models"
    DOWNLOAD = "download"
    WEBHOOKS = "webhooks"
    OTHER = "other"


class Fault(StrEnum):
    """What goes wrong with one request, or with the generation that it starts."""

    LOST_REPLY = "lost_reply"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HTTP_400_HTML = "http_400_html"
    HTTP_500_HTML = "http_500_html"
    HTTP_500_HTML_AFTER = "http_500_html_after"
    HTTP_503 = "http_503"
    MALFORMED_JSON = "malformed_json"
    MALFORMED_JSON_UNPROCESSED = "malformed_json_unprocessed"
    SLOW = "slow"
    LATE_CREATE = "late_create"
    THROTTLE = "throttle"
    THROTTLE_BARE = "throttle_bare"
    TRUNCATED_DOWNLOAD = "truncated_download"
    WRONG_PIXELS = "wrong_pixels"
    FAIL_GENERATION = "fail_generation"
    CHARGE_FAILED = "charge_failed"
    OVERCHARGE = "overcharge"
    NEVER_ENDS = "never_ends"


OUTCOMES = frozenset({Fault.FAIL_GENERATION, Fault.CHARGE_FAILED, Fault.OVERCHARGE, Fault.NEVER_ENDS})
"""Faults of a generation; all others are faults of an exchange."""


ONLY_CREATES = OUTCOMES | {Fault.LATE_CREATE}
"""Faults that can only happen to a create, or to what it starts."""


class Status(StrEnum):
    """The documented states of a generation."""

    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class KeyScope(StrEnum):
    """Whose Idempotency-Keys are told apart."""

    API_KEY = "api_key"
    ACCOUNT = "account"


class InFlight(StrEnum):
    """What a replay gets while the first request is still being worked on."""

    WAIT = "wait"
    CONFLICT = "conflict"


class ReplayAnswer(StrEnum):
    """Which picture of the generation a replay shows."""

    SNAPSHOT = "snapshot"
    CURRENT = "current"


class BurnsKey(StrEnum):
    """Which failed first attempts are remembered and answered again."""

    NOTHING = "nothing"
    REFUSALS = "refusals"
    EVERYTHING = "everything"


class Comparison(StrEnum):
    """What "the same body" means."""

    RAW = "raw"
    CANONICAL = "canonical"


class UnknownKeys(StrEnum):
    """What happens to keys that no page lists."""

    REJECT = "reject"
    DROP = "drop"


class LengthUnit(StrEnum):
    """What one character of a prompt is."""

    CODE_POINTS = "code_points"
    UTF16 = "utf16"


class NoCredits(StrEnum):
    """How an empty wallet shows."""

    HTTP_ERROR = "http_error"
    FAILED_AT_CREATE = "failed_at_create"
    FAILED_AT_POLL = "failed_at_poll"


class ReferenceUrls(StrEnum):
    """Which addresses a reference may have."""

    FILES_ONLY = "files_only"
    ANY = "any"


class UrlsField(StrEnum):
    """How `result.urls` shows on success."""

    PRESENT = "present"
    EMPTY = "empty"
    MISSING = "missing"


class FailedError(StrEnum):
    """How `error` shows on a failed generation."""

    OBJECT = "object"
    NULL = "null"


class RateAlgorithm(StrEnum):
    """How requests are counted against the limit."""

    FIXED_WINDOW = "fixed_window"
    SLIDING_WINDOW = "sliding_window"
    TOKEN_BUCKET = "token_bucket"  # noqa: S105 -- the name of an algorithm


class RetryAfter(StrEnum):
    """How a 429 says when to come back."""

    SECONDS = "seconds"
    HTTP_DATE = "http_date"
    ABSENT = "absent"


class FileKeys(StrEnum):
    """Which keys the answer of the Files API has."""

    FULL = "full"
    MINIMAL = "minimal"


class EdgeBody(StrEnum):
    """What the body of a 503 from the edge is."""

    HTML = "html"
    JSON = "json"
    EMPTY = "empty"


class ResultForm(StrEnum):
    """What a result is, whatever was ordered."""

    ORDERED = "ordered"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    GIF = "gif"
    BMP = "bmp"
    AVIF = "avif"
    TIFF = "tiff"
    JPEG2000 = "jpeg2000"
    QOI = "qoi"
    APNG = "apng"
    ANIMATED_GIF = "animated_gif"
    ANIMATED_WEBP = "animated_webp"
    HTML = "html"
    SVG = "svg"
    PDF = "pdf"
    CUT_OFF = "cut_off"
    RANDOM = "random"


class ResultType(StrEnum):
    """The Content-Type of a result image."""

    EXACT = "exact"
    OCTET_STREAM = "octet_stream"


class WebhookSignature(StrEnum):
    """How webhooks are signed."""

    STANDARD = "standard"
    STRIPE = "stripe"
    NONE = "none"


class WebhookKey(StrEnum):
    """Under which key of a webhook the generation is."""

    DATA = "data"
    DATA_OBJECT = "data.object"
    GENERATION = "generation"
