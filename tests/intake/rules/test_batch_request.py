from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.intake.rules.test_request import JSON_VALUES
from worker.core.rules.batch_request import FIELDS, BatchRequest, Priority, Purpose, validate_batch


def test_a_batch_of_which_nothing_is_said_gets_the_defaults() -> None:
    batch = validate_batch({})

    assert batch == BatchRequest(
        name="unnamed",
        owner="nobody",
        token=None,
        purpose=Purpose.BULK,
        priority=Priority.BULK,
        credit_cap=None,
        deadline=None,
    )


@pytest.mark.parametrize(
    ("purpose", "priority"),
    [("bulk", Priority.BULK), ("refresh", Priority.REFRESH), ("single", Priority.INTERACTIVE)],
)
def test_the_purpose_decides_the_priority_when_none_is_given(purpose: str, priority: Priority) -> None:
    batch = validate_batch({"purpose": purpose})

    assert isinstance(batch, BatchRequest)
    assert batch.priority is priority


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        (0, Priority.BULK), (3, Priority.BULK), (4, Priority.REFRESH), (6, Priority.REFRESH),
        (7, Priority.INTERACTIVE), (9, Priority.INTERACTIVE), ("9", Priority.INTERACTIVE),
        ("refresh", Priority.REFRESH),
    ],
)  # fmt: skip
def test_a_priority_is_a_name_or_a_digit_as_in_celery(value: object, priority: Priority) -> None:
    batch = validate_batch({"priority": value})

    assert isinstance(batch, BatchRequest)
    assert batch.priority is priority


@pytest.mark.parametrize(("value", "cap"), [(0, 0), (400, 400), ("400", 400), (400.0, 400), (None, None), ("", None)])
def test_a_credit_cap_is_a_whole_number_or_absent(value: object, cap: int | None) -> None:
    batch = validate_batch({"credit_cap": value})

    assert isinstance(batch, BatchRequest)
    assert batch.credit_cap == cap


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("credit_cap", -1), ("credit_cap", 1.5), ("credit_cap", True), ("credit_cap", "many"),
        ("credit_cap", "-4"),
        ("credit_cap", "\u0664"), ("credit_cap", float("inf")), ("credit_cap", 2**53),
        ("credit_cap", "9" * 5000),
        ("priority", 10), ("priority", -1), ("priority", True), ("priority", 5.0), ("priority", "soon"),
        ("purpose", "fun"), ("purpose", 1),
        ("name", "x" * 201), ("name", "a\nb"), ("name", "  "), ("name", 5),
        ("owner", "a\0"), ("token", "\ud800"),
        ("deadline", "soon"), ("deadline", 6), ("deadline", "2026-11-30T18:00:00"),
        ("token", {}), ("credit-cap", 5), ("pririty", "bulk"),
    ],
)  # fmt: skip
def test_a_bad_field_of_a_batch_is_named_with_line_zero(field: str, value: object) -> None:
    faults = validate_batch({field: value})

    assert isinstance(faults, tuple)
    assert [(fault.line, fault.field) for fault in faults] == [(0, field)]


@pytest.mark.parametrize(("value", "deadline"), [("6h", timedelta(hours=6)), (None, None), ("", None)])
def test_a_deadline_is_a_span_or_an_instant_or_absent(value: object, deadline: timedelta | None) -> None:
    batch = validate_batch({"deadline": value})

    assert isinstance(batch, BatchRequest)
    assert batch.deadline == deadline


def test_all_faults_of_a_batch_are_reported_at_once() -> None:
    faults = validate_batch({"name": 1, "purpose": 2, "priority": 3.5, "credit_cap": -1, "colour": "red"})

    assert isinstance(faults, tuple)
    assert {fault.field for fault in faults} == {"name", "purpose", "priority", "credit_cap", "colour"}


@settings(max_examples=60, deadline=None)
@given(raw=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=9), JSON_VALUES, max_size=7))
def test_no_json_object_crashes_the_validation_of_a_batch(raw: dict[str, object]) -> None:
    found = validate_batch(raw)

    assert isinstance(found, BatchRequest) or all(str(fault).startswith("batch") for fault in found)


@pytest.mark.parametrize("policy", ["accept", "flag", "refuse-to-publish"])
def test_the_policy_for_sizes_is_one_of_three(policy: str) -> None:
    found = validate_batch({"size_policy": policy})

    assert isinstance(found, BatchRequest)
    assert found.size_policy == policy


@pytest.mark.parametrize("policy", ["refuse", "Accept", 1, True, [], "accept "])
def test_another_policy_for_sizes_is_a_fault(policy: object) -> None:
    found = validate_batch({"size_policy": policy})

    assert isinstance(found, tuple)
    assert found[0].field == "size_policy"
    assert found[0].permitted == ("accept", "flag", "refuse-to-publish")


def test_a_batch_names_its_account_or_a_pool_and_not_both() -> None:
    of_account, of_pool = validate_batch({"account": "shop"}), validate_batch({"pool": "bulk", "account": ""})
    of_both = validate_batch({"account": "shop", "pool": "bulk"})

    assert isinstance(of_account, BatchRequest)
    assert of_account.account == "shop"
    assert isinstance(of_pool, BatchRequest)
    assert (of_pool.account, of_pool.pool) == (None, "bulk")
    assert [str(fault) for fault in of_both] == [  # type: ignore[union-attr]  # faults
        "batch, pool: is not permitted together with an account"
    ]
