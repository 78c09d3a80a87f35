"""Whether the body of a create is one that the provider accepts, and what it asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ops.sandbox.choices import LengthUnit, ReferenceUrls, UnknownKeys
from ops.sandbox.keys import ApiKey
from ops.sandbox.models import Model, Param, known
from ops.sandbox.settings import Settings
from ops.sandbox.web.errors import ApiError, refused
from ops.sandbox.world import World

UPLOADS_PATH = "/sandbox/uploads/"
_TOP_KEYS = {"model", "prompt", "params", "client_request_id"}
_MEDIA_KEYS = {"url", "kind", "name", "mimeType", "durationSeconds", "durationToken"}
_MEDIA = "referenceMediaItems"
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
_LOOPBACK = {"127.0.0.1", "localhost"}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one create asks for; `reference` is the id of an upload, or an address elsewhere."""

    model: Model
    prompt: str
    params: Mapping[str, Any]
    client_request_id: str | None
    reference: str | None


def order_from(body: bytes, world: World, caller: ApiKey) -> Order:
    """The order in this body; raises ApiError(`validation_failed`)."""
    data = _json_object(body)
    settings = world.settings
    if "files" in data:
        raise refused("files is not accepted; send references in params.referenceMediaItems.")
    _check_keys("the body", data, _TOP_KEYS, settings)
    model = _model(data.get("model"), settings)
    params = _params(data.get("params", {}), model, settings)
    return Order(
        model=model,
        prompt=_prompt(data.get("prompt"), model, settings),
        params=params,
        client_request_id=_client_request_id(data.get("client_request_id"), settings),
        reference=_reference(params.get(_MEDIA, []), model, world, caller),
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise refused("The body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise refused("The body must be a JSON object.")
    return data


def _check_keys(where: str, data: Mapping[str, Any], allowed: set[str], settings: Settings) -> None:
    unknown = sorted(data.keys() - allowed)
    if unknown and settings.unknown_keys is UnknownKeys.REJECT:
        raise refused(f"{', '.join(unknown)} is not allowed in {where}; allowed: {', '.join(sorted(allowed))}.")


def _model(id_: object, settings: Settings) -> Model:
    models = known(settings.extra_models)
    if not isinstance(id_, str) or id_ not in models:
        raise refused("model must be the id of an available model.")
    if settings.model_status.get(id_, "available") != "available":
        words = f"{id_} is not available."
        raise ApiError(settings.model_refused_status, settings.model_refused_code, words)
    return models[id_]


def _prompt(prompt: object, model: Model, settings: Settings) -> str:
    if not isinstance(prompt, str) or not prompt:
        raise refused("prompt is required and must be a string.")
    if settings.refused_prompts and settings.refused_prompts in prompt:
        raise ApiError(settings.refused_status, settings.refused_code, "prompt is not accepted.")
    if settings.blank_prompt_refused and not prompt.strip():
        raise refused("prompt must not be blank.")
    is_utf16 = settings.prompt_unit is LengthUnit.UTF16
    length = len(prompt.encode("utf-16-le", "surrogatepass")) // 2 if is_utf16 else len(prompt)
    if length > model.prompt_max:
        raise refused(f"prompt has {length} characters; {model.id} takes at most {model.prompt_max}.")
    return prompt


def _client_request_id(value: object, settings: Settings) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= settings.client_request_id_max):
        return value
    raise refused(f"client_request_id must be a string of at most {settings.client_request_id_max} characters.")


def _params(params: object, model: Model, settings: Settings) -> dict[str, Any]:
    if not isinstance(params, dict):
        raise refused("params must be an object.")
    _check_keys("params", params, {*model.params, _MEDIA}, settings)
    for key, spec in model.params.items():
        if key in params:
            _check_param(key, params[key], spec)
    return params


def _check_param(key: str, value: object, spec: Param) -> None:
    if spec.options and value not in spec.options:
        raise refused(f"params.{key} must be one of: {', '.join(spec.options)}.")
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if not spec.options and not is_number:
        raise refused(f"params.{key} must be a number of at least 0.")


def _reference(items: object, model: Model, world: World, caller: ApiKey) -> str | None:
    if not isinstance(items, list):
        raise refused(f"params.{_MEDIA} must be a list.")
    if len(items) > model.references_max:
        raise refused(f"{model.id} takes at most {model.references_max} reference files.")
    found = [_item(f"params.{_MEDIA}[{index}]", item, model, world, caller) for index, item in enumerate(items)]
    return found[0] if found else None


def _item(where: str, item: object, model: Model, world: World, caller: ApiKey) -> str:
    if not isinstance(item, dict):
        raise refused(f"{where} must be an object.")
    _check_keys(where, item, _MEDIA_KEYS, world.settings)
    if item.get("kind") != "image":
        raise refused(f"{where}.kind must be image.")
    _check_item_extras(where, item)
    return _checked_url(f"{where}.url", item.get("url"), model, world, caller)


def _check_item_extras(where: str, item: Mapping[str, Any]) -> None:
    if not all(isinstance(item.get(key, ""), str) for key in ("name", "durationToken")):
        raise refused(f"{where}: name and durationToken must be strings.")
    if "mimeType" in item and item["mimeType"] not in _IMAGE_TYPES:
        raise refused(f"{where}.mimeType must be one of: {', '.join(_IMAGE_TYPES)}.")
    if not isinstance(item.get("durationSeconds", 0), int | float):
        raise refused(f"{where}.durationSeconds must be a number.")


def _checked_url(where: str, url: object, model: Model, world: World, caller: ApiKey) -> str:
    if not isinstance(url, str) or not url:
        raise refused(f"{where} is required and must be a string.")
    file_id = _file_id(url)
    if file_id is None and world.settings.reference_urls is ReferenceUrls.ANY and url.startswith("https://"):
        return url
    stored = world.files.get(file_id or "")
    if stored is None or stored.account != caller.account or stored.has_expired(world.now()):
        raise refused(f"{where} is not the address of an upload of this account.")
    if stored.kind != "image" or stored.size_bytes > model.reference_mb * world.settings.megabyte:
        raise refused(f"{where} is not an image that {model.id} takes.")
    return stored.id


def _file_id(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    # The port is not compared: after a restart the same upload may have an address on another one.
    if parts.hostname not in _LOOPBACK or not parts.path.startswith(UPLOADS_PATH):
        return None
    return parts.path.removeprefix(UPLOADS_PATH).partition(".")[0]
