"""Which models there are, what each accepts, and what each costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_SIDE = 1024


@dataclass(frozen=True, kw_only=True)
class Param:
    """One key that `params` may have: a select of texts, or a number of at least 0."""

    options: tuple[str, ...] = ()
    default: str | None = None

    @property
    def kind(self) -> str:
        """`select` or `number`, as the model pages say it."""
        return "select" if self.options else "number"


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model: price in credits, limits, and the keys of its `params`."""

    id: str
    name: str
    credits: int
    prompt_max: int
    references_max: int
    reference_mb: int
    params: Mapping[str, Param] = field(default_factory=dict)

    def pixels(self, params: Mapping[str, object]) -> tuple[int, int]:
        """Width and height of the image that these params ask for."""
        shape = self._chosen(params, "image_size", "imageSize", "aspect_ratio")
        scale = {"2K": 2, "4K": 4}.get(self._chosen(params, "resolution"), 1)
        width, height = _SHAPES.get(shape, (MAX_SIDE, MAX_SIDE))
        return width * scale, height * scale

    def image_format(self, params: Mapping[str, object]) -> str:
        """`png` or `jpeg`."""
        return "png" if self._chosen(params, "output_format") in {"", "png"} else "jpeg"

    def _chosen(self, params: Mapping[str, object], *keys: str) -> str:
        for key in keys:
            if key in self.params:
                return str(params.get(key) or self.params[key].default)
        return ""


# The sizes' names are documented, their pixels are not: this is the convention of such names elsewhere.
_SHAPES = {
    "square": (512, 512),
    "square_hd": (1024, 1024),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
    "1:1": (1024, 1024),
    "4:3": (1024, 768),
    "3:4": (768, 1024),
    "16:9": (1024, 576),
    "9:16": (576, 1024),
    "3:2": (1024, 683),
    "2:3": (683, 1024),
}


def _select(*options: str) -> Param:
    return Param(options=options, default=options[0])


_RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16")
# The pages of the nano-banana models leave values out ("1:1 ... auto"): these are common ones, not verified.
_WIDE_RATIOS = (*_RATIOS, "3:2", "2:3")
_QWEN_SIZES = ("square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9")
_QWEN2_RATIOS = ("16:9", "1:1", "3:4", "4:3", "9:16")
_RESOLUTIONS = ("1K", "2K", "4K")

_ALL = (
    Model(
        id="z-image",
        name="Z-Image",
        credits=1,
        prompt_max=1000,
        references_max=0,
        reference_mb=0,
        params={"aspect_ratio": _select(*_RATIOS)},
    ),
    Model(
        id="qwen-image",
        name="Qwen Image",
        credits=4,
        prompt_max=5000,
        references_max=1,
        reference_mb=10,
        params={"image_size": _select(*_QWEN_SIZES), "output_format": _select("png", "jpeg")},
    ),
    Model(
        id="qwen2-image",
        name="Qwen2 Image",
        credits=6,
        prompt_max=800,
        references_max=1,
        reference_mb=10,
        params={
            "image_size": _select(*_QWEN2_RATIOS),
            "output_format": _select("png", "jpeg"),
            "seed": Param(),
            "nsfw_checker": _select("false", "true"),
        },
    ),
    Model(
        id="nano-banana",
        name="Nano Banana",
        credits=3,
        prompt_max=5000,
        references_max=10,
        reference_mb=10,
        params={"imageSize": _select(*_WIDE_RATIOS, "auto"), "output_format": _select("png", "jpeg")},
    ),
    Model(
        id="nano-banana-2",
        name="Nano Banana 2",
        credits=5,
        prompt_max=20000,
        references_max=14,
        reference_mb=30,
        params={
            "aspect_ratio": _select("auto", *_WIDE_RATIOS),
            "resolution": _select(*_RESOLUTIONS),
            "output_format": _select("jpg", "png"),
            "google_search": _select("false", "true"),
        },
    ),
    Model(
        id="nano-banana-pro",
        name="Nano Banana Pro",
        credits=8,
        prompt_max=10000,
        references_max=8,
        reference_mb=30,
        params={
            "aspect_ratio": _select(*_WIDE_RATIOS),
            "resolution": _select(*_RESOLUTIONS),
            "output_format": _select("png", "jpg"),
        },
    ),
)

MODELS: Mapping[str, Model] = {model.id: model for model in _ALL}
"""Every documented model, by id."""

REMOVED = "removed"
STATUSES = ("available", "coming_soon", "studio_only", REMOVED)
"""What a model can be: an `api_status`, or not in the list at all."""


def known(extra: Mapping[str, Mapping[str, Any]]) -> dict[str, Model]:
    """The documented models and those that a setting adds or replaces, by id."""
    return {**MODELS, **{id_: made_up(id_, entry) for id_, entry in extra.items()}}


def made_up(id_: str, entry: Mapping[str, Any]) -> Model:
    """A model from a setting; raises TypeError, ValueError or LookupError for an entry that is none.

    A param is a list of texts, the first of them the default, or null for a number.
    """
    params = {key: Param() if options is None else _select(*options) for key, options in entry["params"].items()}
    figures = {name: int(entry[name]) for name in ("credits", "prompt_max", "references_max", "reference_mb")}
    return Model(id=id_, name=id_, params=params, **figures)


def listing(extra: Mapping[str, Mapping[str, Any]], statuses: Mapping[str, str]) -> dict[str, object]:
    """The answer of GET /api/v1/models."""
    listed = [model for model in known(extra).values() if statuses.get(model.id) != REMOVED]
    return {"object": "list", "data": [_entry(model, statuses.get(model.id, "available")) for model in listed]}


def _entry(model: Model, status: str) -> dict[str, object]:
    with_files = model.references_max > 0
    return {
        "id": model.id,
        "display_name": model.name,
        "category": "image",
        "runtime": "async_task",
        "base_credits": model.credits,
        "billing_type": "FIXED",
        "supported_modes": ["text_to_image", "image_to_image"] if with_files else ["text_to_image"],
        "max_prompt_length": model.prompt_max,
        "reference_media": _reference_media(model) if with_files else None,
        "params": [_param_entry(key, param) for key, param in model.params.items()],
        "api_status": status,
        "api_input_status": "partial_requires_files" if with_files else "available_text",
        "supported_api_inputs": ["text", "file"] if with_files else ["text"],
        "requires_files_api": with_files,
        "url_input_supported": False,
        "requires_upload_for_modes": ["image_to_image"] if with_files else [],
        "file_kinds": ["image"] if with_files else [],
        "chat_capabilities": None,
        "notices": [],
    }


def _reference_media(model: Model) -> dict[str, object]:
    types = ["image/jpeg", "image/png", "image/webp"]
    return {
        "max_files": model.references_max,
        "kinds": ["image"],
        "max_mb": model.reference_mb,
        "mime_types": types,
    }


def _param_entry(key: str, param: Param) -> dict[str, object]:
    options = list(param.options)
    return {"key": key, "type": param.kind, "required": False, "default": param.default, "options": options}
