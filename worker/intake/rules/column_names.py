"""Columns of a manifest: known ones, misspelt ones, and own data that is kept as metadata.

Kept in silence, a misspelt `reference` or a `seed` would buy other images than were asked for.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from worker.core.rules.fault import UnfitError, quoted
from worker.core.rules.models_catalogue import MODELS, ModelSpec
from worker.core.rules.text import LABEL_MAX, storable
from worker.intake.rules import references

OWN_PREFIX = "x_"
"""A column whose name begins so is always the caller's own data."""
# Names that requests of other image services, and people, have for a column.
_ALIASES = {
    "reference": (
        "ref refs ref_image ref_url reference_image reference_images reference_url reference_path reference_file"
        " image image_url image_path image_file image_link img img_url img_path photo_url picture_url"
        " input_image init_image source_image"
    ),
    "image_size": "img_size picture_size",
    "output_format": "out_format img_format",
    "model": "model_id model_name engine checkpoint",
}
# Parameters of other image services, whatever their spelling.
_SERVICE_PARAMS = (
    "size format n seed width height steps guidance quality strength sampler scheduler mask lora loras dpi"
    " negative negative_prompt aspect_ratio aspect ratio image_size output_format imageSize resolution"
    " num_images num_outputs number_of_images num_samples batch_size num_steps num_inference_steps inference_steps"
    " guidance_scale cfg cfg_scale true_cfg_scale denoise denoising_strength prompt_strength image_strength"
    " response_format file_format output_quality output_size safety_checker enable_safety_checker nsfw_checker"
    " prompt_extend enhance_prompt magic_prompt watermark upscale clip_skip controlnet control_image"
    " mask_url mask_image"
)
_SHORT, _LONG = 3, 10
"""Names shorter than the first are never compared letter by letter; from the second on two slips are permitted."""
_COMPARED_MAX = 40
_INVISIBLE = "\ufeff\u200b\u2060"


@dataclass(frozen=True, kw_only=True, slots=True)
class Misnamed:
    """Why a column cannot be taken for the caller's own data."""

    reason: str
    permitted: tuple[str, ...] = ()
    meant: str | None = None
    """The column that the name was meant to be; None for a parameter that the model does not have."""

    def as_error(self) -> UnfitError:
        """Return it as the error that a check of a value raises."""
        return UnfitError(self.reason, self.permitted)


def known(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns that mean something for a model; every other one is the caller's own data, or a mistake."""
    return ("key", "prompt", "model", *references.columns(spec.max_references), *spec.param_names)


def of_others(spec: ModelSpec) -> frozenset[str]:
    """Return the columns that are parameters of other models only."""
    return _of_others(spec.id, tuple(MODELS))


def misnamed(name: str, spec: ModelSpec) -> Misnamed | None:
    """Say what is wrong with a column of a line; None when it is known, or the caller's own data."""
    return _misnamed(name, spec.id, tuple(MODELS))


@lru_cache(maxsize=64)
def _of_others(model: str, ids: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for id_ in ids for name in known(MODELS[id_])).difference(known(MODELS[model]))


# Keyed by the model's id, since the hash of a whole entry takes longer than the rest of a line's check.
@lru_cache(maxsize=4096)
def _misnamed(name: str, model: str, ids: tuple[str, ...]) -> Misnamed | None:
    spec = MODELS[model]
    columns = known(spec)
    if name in columns or references.is_numbered(name) or is_own(name):
        return None
    if name in _of_others(model, ids):
        return _lacking(name, spec)
    bare = _bare(name)
    meant = next((column for column in columns if _bare(column) == bare), None) or _BY_ALIAS.get(_singular(bare))
    if meant or {bare, _singular(bare)} & _FOREIGN:
        return _misspelt(name, meant) if meant in columns else _lacking(name, spec)
    if references.is_misspelt(name, spec):
        written = references.columns(max(spec.max_references, 2))
        return Misnamed(reason="columns of references are written otherwise", permitted=written, meant="reference")
    if meant := near(name, (column for column in columns if not references.is_numbered(column))):
        return _misspelt(name, meant)
    return _lacking(name, spec) if near(name, _LONG_FOREIGN) else None


def misspelt_reference(name: str, spec: ModelSpec, column: str) -> UnfitError | None:
    """Return what is wrong with a column that was meant for the reference, which is called ``column`` here."""
    is_usual = column == "reference" and (found := misnamed(name, spec)) is not None and found.meant == column
    return _misspelt(name, column).as_error() if is_usual or near(name, [column]) else None


def is_own(name: str) -> bool:
    """Whether the name says that the column is the caller's own data."""
    return name.casefold().startswith(OWN_PREFIX)


def near(name: str, columns: Iterable[str]) -> str | None:
    """Return the column that the name is but for a slip of the keyboard, if there is one."""
    bare = _bare(name)
    if not 1 < len(bare) <= _COMPARED_MAX:
        return None
    found = ((_distance(bare, _bare(column)), column) for column in columns if len(_bare(column)) >= _SHORT)
    close = [(distance, column) for distance, column in found if distance <= _slips(column)]
    return min(close, default=(0, None))[1]


def header(name: str) -> str:
    """Return a cell of a header without what a spreadsheet leaves around it: spaces, and invisible marks."""
    return name.strip().strip(_INVISIBLE).strip()


def in_known_case(name: str) -> str:
    """Return the column that the name of a CSV header is but for capitals, else the name."""
    return name if name in _BY_CASE.values() else _BY_CASE.get(name.casefold(), name)


def _misspelt(name: str, meant: str) -> Misnamed:
    return Misnamed(reason=f"this column is written '{meant}'{_or_own(name)}", meant=meant)


def _lacking(name: str, spec: ModelSpec) -> Misnamed:
    return Misnamed(reason=f"is no parameter of {spec.id}{_or_own(name)}", permitted=spec.param_names)


def _or_own(name: str) -> str:
    own = OWN_PREFIX + re.sub(r"\W+", "_", name[:_COMPARED_MAX])
    return (
        f" (if it is data of your own, call it '{own}' or allow it with --allow-extra, in a message with allow_extra)"
    )


def _bare(name: str) -> str:
    """Return the name's letters and digits, which is all that spellings of one name share."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def _singular(bare: str) -> str:
    """Return the name without an s at its end; short names are as they are."""
    return bare.removesuffix("s") if len(bare) > _SHORT else bare


def _slips(column: str) -> int:
    return 2 if len(_bare(column)) >= _LONG else 1


def _distance(one: str, other: str) -> int:
    """Return how many letters were left out, added, exchanged or swapped with their neighbour."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, wanted in enumerate(other):
            cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (letter != wanted))
            if i and j and letter == other[j - 1] and one[i - 1] == wanted:
                cost = min(cost, before[j - 1] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


_BY_ALIAS = {_singular(_bare(alias)): column for column, aliases in _ALIASES.items() for alias in aliases.split()}
_FOREIGN = frozenset(map(_bare, _SERVICE_PARAMS.split()))
_LONG_FOREIGN = tuple(sorted(name for name in _FOREIGN if len(name) >= _LONG))
_BY_CASE = {name.casefold(): name for spec in MODELS.values() for name in known(spec)}
_JSON_TYPES = ("text", "number", "true", "false", "null", "list", "object")
JSON = str | int | float | bool | None | Sequence["JSON"] | Mapping[str, "JSON"]
"""A value that JSON can hold."""
METADATA_MAX_BYTES = 16_384
"""Largest metadata of one line, as compact JSON in UTF-8."""
DEPTH_MAX = 32
"""Deepest nesting of lists and objects."""
_NUMBER_MAX = 10**300
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def metadata(raw: Mapping[str, object]) -> dict[str, JSON]:
    """A copy of the mapping, when all of it is JSON that Postgres can hold and its size is bounded."""
    if not raw:
        return {}
    budget = _Budget(METADATA_MAX_BYTES)
    checked = {_name(name): _json(value, 1, budget) for name, value in raw.items()}
    size = len(_COMPACT.encode(checked).encode())
    if size > METADATA_MAX_BYTES:
        raise _too_large(size)
    return checked


class _Budget:
    """Stops the walk early: every value takes at least one byte, so more values than bytes are too many."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _too_large(METADATA_MAX_BYTES + 1)


def _json(value: object, depth: int, budget: _Budget) -> JSON:
    budget.spend()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(storable(value))
    if isinstance(value, int | float):
        return _number(value)
    if depth >= DEPTH_MAX:
        raise UnfitError(f"is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, Mapping):
        return {_name(name): _json(inner, depth + 1, budget) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner, depth + 1, budget) for inner in value]
    raise UnfitError(f"holds {quoted(value)}, which JSON cannot", _JSON_TYPES)


def _number(value: float) -> JSON:
    if not (math.isfinite(value) if isinstance(value, float) else -_NUMBER_MAX < value < _NUMBER_MAX):
        raise UnfitError("holds a number that is not finite or too large")
    return value


def _name(value: object) -> str:
    name = storable(value)
    if not name or len(name) > LABEL_MAX:
        raise UnfitError(f"has a name of {len(name):,} characters, permitted are 1 to {LABEL_MAX}")
    return name


def _too_large(size: int) -> UnfitError:
    return UnfitError(f"has {size:,} bytes or more as JSON, permitted are {METADATA_MAX_BYTES:,}")
