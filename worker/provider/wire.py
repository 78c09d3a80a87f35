"""What goes over the wire: the body of a create, the shapes that come back, and why a model is not available."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from worker.core.rules.models_catalogue import ParamValue, spec_of


class GenerationStatus(StrEnum):
    """Where a generation stands at the provider."""

    QUEUED = "queued"
    """Accepted, not started."""
    PROCESSING = "processing"
    """Under way."""
    SUCCEEDED = "succeeded"
    """Ended with a result."""
    FAILED = "failed"
    """Ended without a result."""
    UNKNOWN = "unknown"
    """A status that was not documented when this was written; never taken for an end."""

    @property
    def is_terminal(self) -> bool:
        """True when the provider will not change this generation any more."""
        return self in {GenerationStatus.SUCCEEDED, GenerationStatus.FAILED}


@dataclass(frozen=True, kw_only=True)
class ReferenceMedia:
    """A reference image as the create body names it; ``url`` is what the upload answered."""

    url: str
    name: str
    mime_type: str


@dataclass(frozen=True, kw_only=True)
class GenerationView:
    """A generation as the provider showed it in one answer; credits as answered, never computed."""

    id: str
    status: GenerationStatus
    model: str
    reserved_credits: int | None
    final_credits: int | None
    result_urls: tuple[str, ...]
    error_code: str | None
    error_message: str | None
    http_status: int
    request_id: str | None
    unusable: tuple[str, ...] = field(default=(), compare=False)
    """Amounts that the answer holds and that are none, such as ``reserved_credits is 4.5``."""
    created_at: datetime | None = field(default=None, compare=False)
    """When, by the provider's own clock; None when it does not say."""
    limit_resets_in: timedelta | None = field(default=None, compare=False)
    """The wait after a create until the provider's rate limit resets, if it says that no request remains."""
    took: timedelta | None = field(default=None, compare=False)
    """From its creation to its last change, by the provider's own clock; None when it does not say."""


@dataclass(frozen=True, kw_only=True)
class UploadedFile:
    """A file that the provider holds."""

    id: str | None
    """None when the provider names none: only the URL is needed."""
    url: str
    http_status: int | None = field(default=None, compare=False)
    request_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class ModelView:
    """A model as the provider lists it; None where the list says nothing usable."""

    id: str
    base_credits: int | None
    billing_type: str | None
    api_status: str | None
    max_prompt_length: int | None


@dataclass(frozen=True, kw_only=True)
class WebhookView:
    """A registered endpoint as the provider shows it; None where it says nothing usable."""

    id: str
    url: str | None
    status: str | None
    signing_secret: str | None = field(default=None, repr=False)
    """Shown once, when it is registered."""
    failure_count: int | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None


def build_body(
    *,
    model: str,
    prompt: str,
    params: Mapping[str, ParamValue],
    client_request_id: str | None = None,
    references: Sequence[ReferenceMedia] = (),
) -> bytes:
    """The exact bytes of a create request; equal arguments give equal bytes.

    The registry decides what goes in, by the rules by which the request was accepted. Raises LookupError for a model
    that it does not have, and ValueError for params or references that the model does not take.
    """
    spec = spec_of(model)
    if len(references) > spec.max_references:
        raise ValueError(f"{model} takes at most {spec.max_references} references, not {len(references)}")
    values = spec.checked(params)
    chosen: dict[str, Any] = {name: values[name] for name in sorted(values)}
    if references:
        chosen["referenceMediaItems"] = [_reference_item(reference) for reference in references]
    body: dict[str, Any] = {"model": model, "prompt": prompt, "params": chosen}
    if client_request_id is not None:
        body["client_request_id"] = client_request_id
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _reference_item(reference: ReferenceMedia) -> dict[str, str]:
    return {
        "url": reference.url,
        "kind": "image",
        "name": reference.name,
        "mimeType": reference.mime_type,
    }


UNLISTED = "unlisted"
AVAILABLE = "available"


def why_unavailable(model: str, statuses: Mapping[str, str | None]) -> str | None:
    """Return why a model cannot be called; None when it can, or when its entry says nothing about it.

    ``statuses`` has the ``api_status`` of each listed model. The list is documented to be whole: it includes models
    that cannot be called yet (provider contract, section 5).
    """
    if model not in statuses:
        return UNLISTED
    status = statuses[model]
    return None if status is None or status == AVAILABLE else status
