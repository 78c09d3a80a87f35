"""A recipe says how the images of a catalog are made, and what has to be asked before."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeVar

from worker.catalog.rules.catalog import ReviewPolicy
from worker.catalog.rules.refresh_plan import Thresholds
from worker.core.rules.fault import Fault, UnfitError, not_known, quoted
from worker.core.rules.models_catalogue import DEFAULT_MODEL, MODELS, ParamValue, SizePolicy
from worker.core.rules.text import label, storable

_T = TypeVar("_T")
_Word = TypeVar("_Word", bound=StrEnum)

FIELDS = (
    "prompt",
    "model",
    "params",
    "review",
    "credit_cap",
    "max_age_days",
    "approve_above_credits",
    "approve_above_share",
    "owner",
    "sku",
    "reference",
    "size_policy",
)
"""The keys that a recipe may have."""
_MOST = 2**53 - 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A checked recipe."""

    prompt: str
    """A template over the item's fields."""
    model: str = DEFAULT_MODEL
    params: Mapping[str, ParamValue]
    """Every parameter of the model, defaults filled in; one without a default only if it is given."""
    review: ReviewPolicy = ReviewPolicy.NONE
    credit_cap: int | None = None
    max_age_days: int | None = None
    approve_above_credits: int | None = None
    approve_above_share: float | None = None
    owner: str | None = None
    """Who answers for its credits; None: the catalog's own name."""
    sku: str = "sku"
    """The column that names the item."""
    reference: str = "reference"
    """The column with the reference image."""
    size_policy: SizePolicy = SizePolicy.FLAG
    """Whether an image of another size than was ordered may go live."""

    @property
    def thresholds(self) -> Thresholds:
        """Above which its plans need an approval."""
        return Thresholds(credits=self.approve_above_credits, share=self.approve_above_share)

    def as_json(self) -> dict[str, Any]:
        """The recipe as it is stored; ``recipe`` reads it again."""
        found = asdict(self) | {"params": dict(self.params), "review": self.review.value}
        if self.size_policy is SizePolicy.FLAG:
            # So that a recipe from before there was a policy keeps its hash.
            del found["size_policy"]
        return found


def as_toml(found: Recipe) -> str:
    """Return the recipe as a person writes it, with what differs from the defaults; ``recipe`` reads it again."""
    values = found.as_json()
    plain = Recipe(prompt="", params={}).as_json()
    lines = [f"prompt = {_toml(found.prompt)}"]
    lines += [
        f"{name} = {_toml(value)}"
        for name, value in values.items()
        if name not in {"prompt", "params"} and value is not None and value != plain.get(name)
    ]
    params = [f"{name} = {_toml(value)}" for name, value in found.params.items() if value is not None]
    return "\n".join([*lines, "", "[params]", *params, ""] if params else [*lines, ""])


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    # A literal string of several lines holds everything but its own quotes and characters that are not printed.
    if "\n" in text and "'''" not in text and not text.endswith("'") and text.replace("\n", "").isprintable():
        return f"'''\n{text}'''"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def recipe(raw: Mapping[str, object]) -> Recipe | tuple[Fault, ...]:
    """Return the recipe that the mapping holds, or every fault of it at once, each with line 0."""
    faults = [_fault(str(name), not_known(str(name), FIELDS)) for name in raw if name not in FIELDS]

    def field(name: str, default: _T, check: Callable[[object], _T]) -> _T:
        value = raw.get(name)
        try:
            return default if value is None else check(value)
        except UnfitError as unfit:
            faults.append(_fault(name, unfit))
            return default

    model = field("model", DEFAULT_MODEL, _model)
    found = Recipe(
        prompt=field("prompt", "", _prompt),
        model=model,
        params=field("params", _params({}, model), lambda value: _params(value, model)),
        review=field("review", ReviewPolicy.NONE, _one_of(ReviewPolicy)),
        credit_cap=field("credit_cap", None, _count),
        max_age_days=field("max_age_days", None, _days),
        approve_above_credits=field("approve_above_credits", None, _count),
        approve_above_share=field("approve_above_share", None, _share),
        owner=field("owner", None, label),
        sku=field("sku", "sku", label),
        reference=field("reference", "reference", label),
        size_policy=field("size_policy", SizePolicy.FLAG, _one_of(SizePolicy)),
    )
    if "prompt" not in raw:
        faults.append(_fault("prompt", UnfitError("is missing: it is the template of every prompt")))
    return tuple(faults) if faults else found


def _fault(name: str, unfit: UnfitError) -> Fault:
    return Fault(line=0, field=name, reason=unfit.reason, permitted=unfit.permitted)


def _model(value: object) -> str:
    name = storable(value)
    if name not in MODELS:
        raise not_known(name, MODELS)
    return name


def _prompt(value: object) -> str:
    text = storable(value)
    if not text.strip():
        raise UnfitError("is blank")
    return text


def _params(value: object, model: str) -> dict[str, ParamValue]:
    """Return every parameter of the model; what is not named has the model's default."""
    if not isinstance(value, Mapping):
        raise UnfitError("must be a table, such as [params]")
    spec = MODELS[model]
    for name in value:
        if name not in spec.param_names:
            raise not_known(str(name), spec.param_names)
    return spec.completed(value)


def _one_of(kind: type[_Word]) -> Callable[[object], _Word]:
    words = tuple(word.value for word in kind)

    def check(value: object) -> _Word:
        if not isinstance(value, str) or value not in words:
            raise UnfitError(f"{quoted(value)} is not known", words)
        return kind(value)

    return check


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise UnfitError("must be a whole number, 0 or more")
    return value


def _days(value: object) -> int:
    days = _count(value)
    if not 1 <= days <= 36_500:  # noqa: PLR2004 - a hundred years
        raise UnfitError("must be from 1 to 36,500 days")
    return days


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UnfitError("must be a share from 0 to 1, such as 0.2 for a fifth of the items")
    return float(value)
