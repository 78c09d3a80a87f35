"""Whether a value that came from outside may become a setting."""

from collections.abc import Callable, Mapping
from dataclasses import Field
from enum import StrEnum
from typing import Any

from ops.sandbox.choices import ONLY_CREATES, Fault, Kind
from ops.sandbox.models import STATUSES, made_up

EVERY_KIND = "*"
"""Stands for every kind of request in `faults`."""


class SettingsError(Exception):
    """A setting that cannot be used: which one, why, and what is permitted."""

    def __init__(self, name: str, reason: str, permitted: str) -> None:
        super().__init__(name, reason, permitted)
        self.name = name
        self.reason = reason
        self.permitted = permitted

    def __str__(self) -> str:
        return f"setting {self.name!r}: {self.reason}; permitted: {self.permitted}"


def checked_value(spec: Field[Any], current: object, value: object) -> object:
    """The value in the type of the current one; raises SettingsError."""
    if isinstance(current, StrEnum):
        return _checked_choice(spec.name, type(current), value)
    if isinstance(current, bool):
        return _checked_type(spec.name, value, bool, "true or false")
    if isinstance(current, str):
        return _checked_type(spec.name, value, str, "a text")
    return _checked_number(spec, value, whole=isinstance(current, int))


def checked_faults(current: Mapping[str, Mapping[str, float]], value: object) -> dict[str, dict[str, float]]:
    """The current probabilities with each kind in `value` replaced; raises SettingsError."""
    if not isinstance(value, Mapping):
        raise SettingsError("faults", "not an object", '{"create": {"lost_reply": 0.05}}')
    merged = {kind: dict(odds) for kind, odds in current.items()}
    for kind, odds in value.items():
        merged[_checked_kind(kind)] = _checked_odds(f"faults.{kind}", kind, odds)
    return merged


def _checked_models(current: Mapping[str, Any], value: object) -> dict[str, Any]:
    shape = '{"my-model": {"credits": 2, "prompt_max": 100, "references_max": 0, "reference_mb": 0, "params": {}}}'
    if not isinstance(value, Mapping):
        raise SettingsError("extra_models", "not an object", shape)
    try:
        for id_, entry in value.items():
            made_up(id_, entry)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise SettingsError("extra_models", f"not usable: {error!r}", shape) from error
    return {**current, **value}


def _checked_statuses(current: Mapping[str, str], value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not set(value.values()) <= set(STATUSES):
        raise SettingsError("model_status", f"{value!r} is not usable", f"for each model: {', '.join(STATUSES)}")
    return {**current, **value}


CHECKS: Mapping[str, Callable[[Any, object], Any]] = {
    "faults": checked_faults,
    "extra_models": _checked_models,
    "model_status": _checked_statuses,
}
"""How settings that are objects are merged; the others have one value."""


def _checked_kind(kind: str) -> str:
    if kind != EVERY_KIND and kind not in list(Kind):
        raise SettingsError("faults", f"no kind of request {kind!r}", ", ".join([EVERY_KIND, *Kind]))
    return kind


def _checked_odds(name: str, kind: str, odds: object) -> dict[str, float]:
    if not isinstance(odds, Mapping):
        raise SettingsError(name, "not an object", '{"lost_reply": 0.05}')
    clean: dict[str, float] = {}
    for fault, share in odds.items():
        _check_fault(name, kind, fault)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise SettingsError(f"{name}.{fault}", f"{share!r} is not a probability", "0 to 1")
        clean[fault] = float(share)
    return clean


def _check_fault(name: str, kind: str, fault: str) -> None:
    if fault not in list(Fault):
        raise SettingsError(name, f"no fault {fault!r}", ", ".join(Fault))
    if fault in ONLY_CREATES and kind not in {Kind.CREATE, EVERY_KIND}:
        raise SettingsError(name, f"{fault!r} happens to creates", "the kind create")


def _checked_choice(name: str, choices: type[StrEnum], value: object) -> StrEnum:
    if value not in list(choices):
        raise SettingsError(name, f"{value!r} is not a choice", ", ".join(choices))
    return choices(str(value))


def _checked_type(name: str, value: object, wanted: type, permitted: str) -> object:
    if not isinstance(value, wanted):
        raise SettingsError(name, f"{value!r} has the wrong type", permitted)
    return value


def _checked_number(spec: Field[Any], value: object, *, whole: bool) -> int | float:
    permitted = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise SettingsError(spec.name, f"{value!r} has the wrong type", permitted)
    if spec.metadata["one_of"] and value not in spec.metadata["one_of"]:
        raise SettingsError(spec.name, f"{value!r} is not a choice", ", ".join(map(str, spec.metadata["one_of"])))
    if value < 0 and spec.name != "price_delta":
        raise SettingsError(spec.name, f"{value!r} is negative", f"{permitted} of at least 0")
    return value if whole else float(value)
