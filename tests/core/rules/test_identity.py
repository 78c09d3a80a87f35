"""Maker and checker differ by who they are, whatever way they came."""

import pytest

from worker.core.rules.identity import is_same_person, person_of


@pytest.mark.parametrize(
    ("actor", "person"),
    [
        ("web:ann@example.com", "ann@example.com"),
        ("token:shop@ann@example.com", "ann@example.com"),
        ("token:shop", "shop"),
        ("cli:ann@host", "ann"),
        ("cli:ann", "ann"),
        (" Ann ", "ann"),
        ("owner:shop", "owner:shop"),
    ],
)
def test_behind_each_actor_is_a_person(actor: str, person: str) -> None:
    assert person_of(actor) == person


@pytest.mark.parametrize("other", ["web:ann", "ANN ", "token:shop@ann", "web:ann@example.com", "cli:ann@elsewhere"])
def test_one_person_is_one_whatever_way_she_comes(other: str) -> None:
    assert is_same_person("cli:ann@host", other)


@pytest.mark.parametrize("other", ["web:ben", "token:ann@ben", "cli:ben@ann", "annette"])
def test_two_people_are_two(other: str) -> None:
    assert not is_same_person("cli:ann@host", other)
