"""What models take and cost, as data: adding a model is adding an entry. Whether an image is what was ordered."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from worker.core.rules.fault import UnfitError, not_known, quoted

ParamValue = str | int | float
"""A value as it travels: selects are texts, numbers are numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectParam:
    """A parameter whose value is one of a few texts; ``default`` is used when a request names none."""

    name: str
    default: str
    choices: tuple[str, ...]
    """Those that the provider's pages name."""
    other: str | None = None
    """What further values look like, as a regular expression, where the provider's page leaves some out; else None.

    Such a value is passed on, and the provider decides; a refusal costs nothing.
    """

    def value(self, given: object) -> str:
        """Return the value for a request, checked; raise UnfitError."""
        if given is None or given == "":
            return self.default
        if isinstance(given, bool) and _BOOLEANS[given] in self.choices:
            return _BOOLEANS[given]
        if not isinstance(given, str):
            raise UnfitError(f"must be text, not {quoted(given)}", self.choices)
        if given in self.choices or (self.other is not None and re.fullmatch(self.other, given)):
            return given
        raise not_known(given, self.choices)


NUMBER_MAX = 2**53 - 1
"""The largest number that every reader of JSON understands alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberParam:
    """A parameter whose value is a number; without a default a request that names none sends none."""

    name: str
    minimum: float
    maximum: float = NUMBER_MAX
    default: int | float | None = None
    is_whole: bool = True

    def value(self, given: object) -> int | float | None:
        """Return the value for a request, checked; a whole number however it was written; raise UnfitError."""
        if given is None or given == "":
            return self.default
        number = _number(given)
        if number is None or (self.is_whole and not isinstance(number, int)):
            raise UnfitError(f"must be {self._limits}, not {_shown(given)}")
        if not self.minimum <= number <= self.maximum:
            raise UnfitError(f"must be {self._limits}; it is {number}")
        return number

    @property
    def _limits(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        return f"{kind} from {self.minimum:,} to {self.maximum:,}"


Param = SelectParam | NumberParam


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """One model of the provider: its price and the limits that a request is checked against."""

    id: str
    credits: int
    """Credits for one generation, before the provider's own figure is known."""
    prompt_max: int
    """Longest prompt in characters, in code points and in UTF-16 units alike."""
    params: tuple[Param, ...]
    max_references: int
    reference_max_bytes: int = 0
    """Taken as 10^6 bytes to the megabyte, the smaller of the two readings."""
    reference_types: tuple[str, ...] = ()
    pixels: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)
    """Width and height that each ``image_size`` promises; empty where the provider's names promise none."""

    param_names: tuple[str, ...] = field(init=False)
    """The names of its params, as they travel."""

    def __post_init__(self) -> None:
        """Keep what each line of a manifest asks for."""
        object.__setattr__(self, "param_names", tuple(param.name for param in self.params))

    def completed(self, params: Mapping[str, object]) -> dict[str, ParamValue]:
        """Return every param with a value, defaults filled in; raise UnfitError."""
        found = {param.name: self.value(param, params.get(param.name)) for param in self.params}
        return {name: value for name, value in found.items() if value is not None}

    def checked(self, params: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        """Return the params as they are, each within its limits; raise UnfitError.

        A param that came into the registry after the request was accepted is not added: the fingerprint lacks it.
        """
        for name in params:
            self.expect(name)
        return {param.name: params[param.name] for param in self.params if self._is_given(param, params)}

    def _is_given(self, param: Param, params: Mapping[str, ParamValue]) -> bool:
        return param.name in params and self.value(param, params[param.name]) is not None

    def expect(self, name: str) -> None:
        """Raise UnfitError for the name of a param that the model has not."""
        if name not in self.param_names:
            raise UnfitError(f"is no parameter of {self.id}", self.param_names)

    @staticmethod
    def value(param: Param, given: object) -> ParamValue | None:
        """Return one value, checked; raise UnfitError, which names the param."""
        try:
            return param.value(given)
        except UnfitError as unfit:
            raise UnfitError(f"{param.name}: {unfit.reason}", unfit.permitted) from unfit


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
"""Width and height that each ``image_size`` of qwen-image promises.

The convention of these names; the provider documents none.
"""
_IMAGES = ("image/jpeg", "image/png", "image/webp")
_RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16")
_RESOLUTIONS = ("1K", "2K", "4K")
# The pages of the nano-banana models leave values out ("1:1 ... auto"). Which they are is not known (read 2026-11-22).
_ANY_RATIO = r"[1-9][0-9]?:[1-9][0-9]?"


def _select(name: str, *choices: str, other: str | None = None) -> SelectParam:
    """Make a select whose first choice is the default."""
    return SelectParam(name=name, default=choices[0], choices=choices, other=other)


_ALL = (
    ModelSpec(
        id="qwen-image",
        credits=4,
        prompt_max=5_000,
        params=(
            SelectParam(name="image_size", default="square_hd", choices=tuple(PIXELS)),
            _select("output_format", "png", "jpeg"),
        ),
        max_references=1,
        reference_max_bytes=10_000_000,
        reference_types=_IMAGES,
        pixels=PIXELS,
    ),
    ModelSpec(
        id="z-image",
        credits=1,
        prompt_max=1_000,
        params=(_select("aspect_ratio", *_RATIOS),),
        max_references=0,
    ),
    ModelSpec(
        id="qwen2-image",
        credits=6,
        prompt_max=800,
        params=(
            _select("image_size", "16:9", "1:1", "3:4", "4:3", "9:16"),
            _select("output_format", "png", "jpeg"),
            NumberParam(name="seed", minimum=0),
            _select("nsfw_checker", "false", "true"),
        ),
        max_references=1,
        reference_max_bytes=10_000_000,
        reference_types=_IMAGES,
    ),
    ModelSpec(
        id="nano-banana",
        credits=3,
        prompt_max=5_000,
        params=(_select("imageSize", "1:1", "auto", other=_ANY_RATIO), _select("output_format", "png", "jpeg")),
        max_references=10,
        reference_max_bytes=10_000_000,
        reference_types=_IMAGES,
    ),
    ModelSpec(
        id="nano-banana-2",
        credits=5,
        prompt_max=20_000,
        params=(
            _select("aspect_ratio", "auto", other=_ANY_RATIO),
            _select("resolution", *_RESOLUTIONS),
            _select("output_format", "jpg", "png"),
            _select("google_search", "false", "true"),
        ),
        max_references=14,
        reference_max_bytes=30_000_000,
        reference_types=_IMAGES,
    ),
    ModelSpec(
        id="nano-banana-pro",
        credits=8,
        prompt_max=10_000,
        params=(
            _select("aspect_ratio", "1:1", other=_ANY_RATIO),
            _select("resolution", *_RESOLUTIONS),
            _select("output_format", "png", "jpg"),
        ),
        max_references=8,
        reference_max_bytes=30_000_000,
        reference_types=_IMAGES,
    ),
)
REGISTRY = {spec.id: spec for spec in _ALL}
"""The entries; only a test adds one."""
MODELS: Mapping[str, ModelSpec] = MappingProxyType(REGISTRY)
"""Every model that a request may name, by its id."""


def spec_of(model: str) -> ModelSpec:
    """Return the entry of a model that was accepted once; LookupError when this version does not know it."""
    try:
        return MODELS[model]
    except KeyError:
        raise LookupError(f"this version of Darkroom does not know the model {model!r}") from None


def pixels(model: str, params: Mapping[str, ParamValue]) -> tuple[int, int] | None:
    """Return width and height that the request was promised; None when the provider promises none."""
    spec = MODELS.get(model)
    return spec.pixels.get(str(params.get("image_size", ""))) if spec else None


_DIGITS = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{1,16})?")
_BOOLEANS = {True: "true", False: "false"}


def _number(given: object) -> int | float | None:
    """Read a number, whole if it is one; None for anything else, and for what no JSON number can hold."""
    if isinstance(given, bool):
        return None
    if isinstance(given, str) and _DIGITS.fullmatch(given.strip()):
        given = float(given) if "." in given else int(given)
    if isinstance(given, float) and not math.isfinite(given):
        return None
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, int | float) else None


def _shown(given: object) -> str:
    return str(given) if isinstance(given, int | float) else quoted(given)


class Deviation(StrEnum):
    """How an image can differ from the order."""

    FORMAT = "format"
    """Its type is not the one of ``output_format``."""
    SIZE = "size"
    """Its pixels are not those that ``image_size`` promises."""
    ANIMATED = "animated"
    """It has more than one frame."""


class SizePolicy(StrEnum):
    """What a batch makes of an image of another size than was ordered."""

    ACCEPT = "accept"
    """It is as good as any."""
    FLAG = "flag"
    """It is marked and counted."""
    REFUSE_TO_PUBLISH = "refuse-to-publish"
    """It is marked and counted, and cannot go live in a catalog."""


_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg"}


def deviations(
    model: str, params: Mapping[str, ParamValue], *, mime_type: str, width: int, height: int, frames: int
) -> tuple[Deviation, ...]:
    """Return how an image differs from the parameters of its request.

    A parameter whose meaning is not known here orders nothing.
    """
    ordered_type = _TYPES.get(str(params.get("output_format", "")), mime_type)
    ordered_size = pixels(model, params) or (width, height)
    found = {
        Deviation.FORMAT: mime_type != ordered_type,
        Deviation.SIZE: (width, height) != ordered_size,
        Deviation.ANIMATED: frames > 1,
    }
    return tuple(deviation for deviation, is_so in found.items() if is_so)


def counted(found: Collection[str], policy: SizePolicy) -> tuple[Deviation, ...]:
    """Return those that count under the policy."""
    return tuple(
        deviation
        for deviation in map(Deviation, found)
        if deviation is not Deviation.SIZE or policy is not SizePolicy.ACCEPT
    )
