"""What a model takes and costs, as data: adding a model is adding an entry to ``MODELS``."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectParam:
    """A parameter whose value is one of a few texts; ``default`` is used when a request names none."""

    name: str
    default: str
    choices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """One model of the provider: its price and the limits that a request is checked against."""

    id: str
    credits: int
    """Credits for one generation, before the provider's own figure is known."""
    prompt_max: int
    """Longest prompt in characters, in code points and in UTF-16 units alike."""
    params: tuple[SelectParam, ...]
    max_references: int
    reference_max_bytes: int
    """Taken as 10^6 bytes to the megabyte, the smaller of the two readings."""
    reference_types: tuple[str, ...]

    def param(self, name: str) -> SelectParam | None:
        """The parameter of that name; None when the model has none."""
        return next((param for param in self.params if param.name == name), None)


DEFAULT_MODEL = "qwen-image"
"""The model of a request that names none."""

PIXELS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "square": (512, 512),
        "square_hd": (1024, 1024),
        "portrait_4_3": (768, 1024),
        "portrait_16_9": (576, 1024),
        "landscape_4_3": (1024, 768),
        "landscape_16_9": (1024, 576),
    }
)
"""Width and height that each ``image_size`` promises.

The convention of these names; the provider documents none.
"""

# Source: the provider's page of the model, docs/api/models/qwen-image, read 2026-11-22.
_QWEN_IMAGE = ModelSpec(
    id="qwen-image",
    credits=4,
    prompt_max=5_000,
    params=(
        SelectParam(name="image_size", default="square_hd", choices=tuple(PIXELS)),
        SelectParam(name="output_format", default="png", choices=("png", "jpeg")),
    ),
    max_references=1,
    reference_max_bytes=10_000_000,
    reference_types=("image/jpeg", "image/png", "image/webp"),
)

MODELS: Mapping[str, ModelSpec] = MappingProxyType({_QWEN_IMAGE.id: _QWEN_IMAGE})
"""Every model that a request may name, by its id."""
