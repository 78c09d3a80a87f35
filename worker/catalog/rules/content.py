"""Content is all that decides an image of an item, as it is wanted now or as an image was made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.core.rules.model_params import ParamValue
from worker.intake.rules.request import JobRequest, fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Prompt, parameters, model, and the SHA-256 of the bytes of each reference, in their order."""

    prompt: str
    params: Mapping[str, ParamValue]
    model: str
    references: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The same hash that a job of this content has."""
        request = JobRequest(
            line=0,
            key="",
            prompt=self.prompt,
            model=self.model,
            params=self.params,
            references=(),
            metadata={},
        )
        return fingerprint(request, self.references)


def from_parts(parts: Mapping[str, Any]) -> Content:
    """Read what was stored beside an image when it was asked for."""
    named = parts["reference"]
    references = tuple(named) if isinstance(named, list) else () if named is None else (named,)
    return Content(prompt=parts["prompt"], params=parts["params"], model=parts["model"], references=references)
