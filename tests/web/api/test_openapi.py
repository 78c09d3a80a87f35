"""The served OpenAPI document is what the server does: requests are made from it, and answers compared with it."""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from tests.web.api.client import client
from tests.web.serving import Web
from worker.web.api import routes

QUICK = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_the_document_is_served_without_a_token(web: Web) -> None:
    found = requests.get(f"{web.url}/api/v1/openapi.json", timeout=10)

    assert (found.status_code, found.json()) == (200, routes.document())
    assert found.json()["openapi"].startswith("3.1")


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation.name for operation in routes.OPERATIONS]

    assert sorted(set(names)) == sorted(names)


@pytest.fixture
def described(web: Web) -> OpenApiSchema:
    headers = client(web).headers
    loaded = schemathesis.openapi.from_url(f"{web.url}/api/v1/openapi.json")
    loaded.config.update(headers=dict(headers))
    assert isinstance(loaded, OpenApiSchema)
    return loaded


MADE = [
    (each.name, mode)
    for each in routes.OPERATIONS
    for mode in GenerationMode
    if "events" not in each.path and (mode is GenerationMode.POSITIVE or each.name != "getAccount")
]
"""Nothing of a request without parameters can be wrong."""


@pytest.mark.parametrize(("name", "mode"), MADE)
def test_each_operation_answers_as_it_is_described(described: OpenApiSchema, name: str, mode: GenerationMode) -> None:
    """A schema cannot say which text is a cursor or a deadline; streams do not end, and have their own tests."""
    cases = described.find_operation_by_id(name).as_strategy(generation_mode=mode)

    @QUICK
    @given(case=cases)
    def check(case: Case[Any]) -> None:
        case.call_and_validate(timeout=20, excluded_checks=[positive_data_acceptance])

    check()
