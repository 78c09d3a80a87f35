"""Whether an image is what was ordered: its form, its size, and that it stands still."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from worker.core.rules.model_params import ParamValue
from worker.core.rules.models_catalogue import pixels


class Deviation(StrEnum):
    """In what an image differs from what was ordered."""

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
    """Return in what an image differs from what the parameters of its request ordered.

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
