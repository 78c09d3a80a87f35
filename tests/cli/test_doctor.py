"""The doctor says which scopes the key has, without spending anything."""

import json
from typing import Any

import pytest

from tests.cli.conftest import Darkroom
from tests.fixtures.provider import Provider

SCOPES = {"credits:read", "generations:read", "files:read", "generations:create", "files:create"}


def finding(darkroom: Darkroom, sandbox: Provider, part: str) -> dict[str, Any]:
    settings = {"RIVYA_API_KEY": sandbox.key, "RIVYA_BASE_URL": sandbox.base_url}
    examined = json.loads(darkroom("doctor", "--json", **settings).stdout)
    return next(each for each in examined["findings"] if each["part"] == part)


def test_the_doctor_proves_the_scopes_for_reading_and_says_which_cannot_be_proved(
    darkroom: Darkroom, sandbox: Provider
) -> None:
    found = finding(darkroom, sandbox, "scopes")

    assert found["verdict"] == "ok"
    assert found["detail"].startswith(
        "generations:read, files:read; generations:create and files:create show only when"
    )
    assert (sandbox.tasks(), sandbox.books()["uploads"]["total"]) == ([], 0)


@pytest.mark.parametrize("scope", ["generations:read", "files:read"])
def test_the_doctor_names_a_scope_that_is_missing(scope: str, darkroom: Darkroom, sandbox: Provider) -> None:
    sandbox.permit(*(SCOPES - {scope}))

    found = finding(darkroom, sandbox, "scopes")

    assert (found["verdict"], found["detail"]) == ("failed", f"the key lacks {scope}")
    assert "give the key these scopes" in found["next_step"]
