"""The reference of the HTTP API: operations and schemas, from the OpenAPI document."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ops.reference import ROOT
from worker.web.api import openapi, routes

FILE = ROOT / "docs" / "reference-api.md"


def text() -> str:
    """Return the content of the file."""
    document = openapi.document(routes.OPERATIONS, routes.PREFIX)
    head = [
        "# HTTP API, operation by operation",
        "",
        "Written by `python -m ops.reference` from the OpenAPI document that `darkroom web` serves at",
        "`/api/v1/openapi.json`; do not edit it. [api.md](api.md) has the way through it, with commands.",
        "",
    ]
    operations = [
        line
        for path, methods in document["paths"].items()
        for method, each in methods.items()
        for line in _operation(method, path, each)
    ]
    schemas = [line for name, each in sorted(document["components"]["schemas"].items()) for line in _schema(name, each)]
    return "\n".join([*head, *operations, "## Schemas", "", *schemas])


def _operation(method: str, path: str, each: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## `{method.upper()} {path}`", "", f"{each['summary']}.", "")
    parameters = each.get("parameters", [])
    if parameters:
        yield from ("| parameter | in | form | meaning |", "|---|---|---|---|")
        for one in parameters:
            name = f"`{one['name']}`{' (required)' if one.get('required') else ''}"
            yield f"| {name} | {one['in']} | {_form(one['schema'])} | {_words(one, one['schema'])} |"
        yield ""
    body = each.get("requestBody", {}).get("content", {})
    if body:
        sent = "; ".join(f"`{kind}`: {_form(one['schema'])}" for kind, one in body.items())
        yield from (f"Body: {sent}.", "")
    yield from ("| status | meaning | answer |", "|---|---|---|")
    for status, one in sorted(each["responses"].items()):
        kinds = "; ".join(f"`{kind}`: {_form(what.get('schema', {}))}" for kind, what in one.get("content", {}).items())
        yield f"| {status} | {_words(one)} | {kinds} |"
    yield ""


def _schema(name: str, each: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    if each.get("description"):
        yield from (_words(each), "")
    if "enum" in each:
        yield from (f"One of {', '.join(f'`{value}`' for value in each['enum'])}.", "")
    properties = each.get("properties", {})
    if properties:
        yield from ("| field | form | meaning |", "|---|---|---|")
        for field, one in properties.items():
            mark = " (required)" if field in each.get("required", []) else ""
            yield f"| `{field}`{mark} | {_form(one)} | {_words(one)} |"
        yield ""


def _form(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{re.sub(r'[^a-z0-9_-]', '', name.lower())})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_form(each) for each in schema[several])
    if schema.get("type") == "array":
        return f"list of {_form(schema.get('items', {}))}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    kinds = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{kinds} ({schema['format']})" if "format" in schema else kinds


def _words(*described: Mapping[str, Any]) -> str:
    found = next((str(each["description"]) for each in described if each.get("description")), "")
    return " ".join(found.replace("``", "`").split()).replace("|", "\\|").replace("<", "&lt;")
