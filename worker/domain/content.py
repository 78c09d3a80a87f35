"""Content is all that decides an image of an item, as it is wanted now or as an image was made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.domain.request import JobRequest, fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Prompt, parameters, model, and the SHA-256 of the reference's bytes."""

    prompt: str
    params: Mapping[str, str]
    model: str
    reference: str | None

    @property
    def fingerprint(self) -> str:
        """The same hash that a job of this content has."""
        request = JobRequest(
            line=0,
            key="",
            prompt=self.prompt,
            model=self.model,
            params=self.params,
            reference=None,
            metadata={},
        )
        return fingerprint(request, self.reference)


def from_parts(parts: Mapping[str, Any]) -> Content:
    """Read what was stored beside an image when it was asked for."""
    return Content(prompt=parts["prompt"], params=parts["params"], model=parts["model"], reference=parts["reference"])
