"""Roles are sets of rights, and an identity may do what its rights say."""

from worker.core.rules.batch_request import Priority
from worker.web.rules.identity import ROLES, Principal, Right, rights_of


def test_only_an_administrator_has_every_right() -> None:
    assert {name for name, rights in ROLES.items() if Right.ADMIN in rights} == {"admin"}
    assert all(Right.READ in rights for rights in ROLES.values())
    assert not ROLES["viewer"] - {Right.READ}


def test_a_user_has_the_rights_of_all_its_roles_and_an_unknown_role_has_none() -> None:
    assert rights_of(["viewer", "reviewer"]) == {Right.READ, Right.REVIEW}
    assert rights_of(["boss"]) == frozenset()


def test_an_identity_without_a_ceiling_may_ask_for_any_priority() -> None:
    free = Principal(name="mia", actor="web:mia", rights=frozenset({Right.READ}))
    bound = Principal(name="mia", actor="token:shop@mia", rights=frozenset(), max_priority=Priority.REFRESH)

    assert free.may(Right.READ)
    assert not free.may(Right.ADMIN)
    assert all(free.may_ask_for(each) for each in Priority)
    assert {each for each in Priority if bound.may_ask_for(each)} == {Priority.REFRESH, Priority.BULK}
