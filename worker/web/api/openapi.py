"""The OpenAPI 3.1 document, made from the declarations of the operations."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from worker.core.version import version
from worker.web.api import schemas
from worker.web.api.operations import JSON_TYPE, LINES_TYPE, Operation
from worker.web.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
_ALWAYS = (400, 401, 403, 406, 429, 500, 503)
_MEANS = {
    400: "The request is malformed",
    401: "The request has no valid token",
    403: "The token lacks a right, or may not go so far",
    404: "There is no such thing, or not for this token",
    406: "The answer has no type that the client accepts",
    408: "The body came too slowly",
    409: "The state does not permit it, or the same submission is being taken",
    413: "The body, or a part of it, is too large",
    415: "The body has a type that is not taken",
    416: "The image has no such range",
    422: "The request is invalid; `faults` says where and why",
    429: "Too many requests, streams or uploads of this client",
    500: "The server failed",
    503: "The database, the store or a free place is not available for now",
}
_RATE = {
    "RateLimit": {"schema": {"type": "string"}, "description": "What is left of the quota, and seconds to the whole"},
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": "The quota and its window in seconds"},
}
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(operations: Iterable[Operation], prefix: str) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(prefix + operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Darkroom",
            "version": version(),
            "description": "Submits, follows and controls batches of images. See docs/api.md.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Of `darkroom token create`"}
            },
        },
    }


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    models: set[type[BaseModel]] = {schemas.Problem, schemas.BatchFields, schemas.Submission, schemas.DryRun}
    for each in operations:
        models.update(model for model in (each.body, each.answer) if model is not None)
    ordered = sorted(models, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    defined: dict[str, Any] = found["$defs"]
    return defined


def _operation(each: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "parameters": [*_path_parameters(each), *_query_parameters(each), *_header_parameters(each)],
        "responses": _responses(each),
    }
    if each.body is not None:
        found["requestBody"] = {
            "required": each.is_body_needed,
            "content": {JSON_TYPE: {"schema": {"$ref": _REF.format(model=each.body.__name__)}}},
        }
    elif each.consumes:
        found["requestBody"] = {"required": True, "content": dict(each.consumes)}
    return found


def _path_parameters(each: Operation) -> list[dict[str, Any]]:
    schema = {"type": "string", "format": "uuid"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in _PARAMETER.findall(each.path)]


def _query_parameters(each: Operation) -> list[dict[str, Any]]:
    if each.query is None:
        return []
    properties = each.query.model_json_schema(ref_template=_REF)
    defined = properties.get("$defs", {})
    return [_parameter(name, schema, defined) for name, schema in properties["properties"].items()]


def _parameter(name: str, schema: dict[str, Any], defined: dict[str, Any]) -> dict[str, Any]:
    """Return one parameter: in a query nothing is null, and what is not there is left out."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    kind = {key: value for key, value in kinds[0].items() if key not in {"title", "default", "x-repeatable"}}
    kind = defined[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind
    if schema.get("default") is not None:
        kind = {**kind, "default": schema["default"]}
    found = {"name": name, "in": "query", "required": False, "schema": kind}
    return found | ({"description": schema["description"]} if "description" in schema else {})


def _header_parameters(each: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in each.headers.items()
    ]


def _responses(each: Operation) -> dict[str, Any]:
    found = {str(each.status): {"description": "Done", "headers": _RATE, "content": _content(each)}}
    if each.name == "submitBatch":
        found["202"]["headers"] = {**_RATE, "Location": {"schema": {"type": "string"}, "description": "The batch"}}
        found["202"]["description"] = "The batch is taken"
        dry_run = {JSON_TYPE: {"schema": {"$ref": _REF.format(model="DryRun")}}}
        found["200"] = {"description": "A dry run: nothing was kept", "headers": _RATE, "content": dry_run}
    if each.name == "followBatch":
        found["204"] = {"description": "All was sent, and the batch has ended", "headers": _RATE}
    if each.name == "getImage":
        found["206"] = {"description": "The range", "headers": _RATE, "content": _content(each)}
        found["304"] = {"description": "The client has it already", "headers": _RATE}
    problem = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    for status in sorted({*_ALWAYS, *each.problems}):
        found[str(status)] = {"description": _MEANS[status], "content": problem}
    return found


def _content(each: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for kind in each.produces:
        if kind == JSON_TYPE and each.answer is not None:
            content[kind] = {"schema": {"$ref": _REF.format(model=each.answer.__name__)}}
        elif kind.startswith("image/"):
            content[kind] = {"schema": {"type": "string", "contentMediaType": kind, "format": "binary"}}
        else:
            content[kind] = {"schema": {"type": "string"}}
            if kind == LINES_TYPE:
                content[kind]["schema"]["description"] = "A line of the schema Line for each line of the manifest"
    return content
