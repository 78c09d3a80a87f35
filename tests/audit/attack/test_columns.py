"""Every column of every table, changed past every trigger by a superuser, and with the rights of each role."""

import pytest

from tests.audit.attack.attempts import Books, change, is_listed, listed, report

READERS = ("darkroom_audit", "pg_signal_backend")
"""An auditor's role, and one without any right in the schema."""


def test_a_superuser_changes_nothing_unnoticed_but_what_the_guide_lists(books: Books) -> None:
    known = listed()

    tried = [
        books.as_superuser(f"{table}.{column}", change(table, column, type_))
        for table, column, type_ in books.columns()
    ]

    report("Each column changed by a superuser", tried)
    unnoticed = {each.what for each in tried if each.is_unnoticed}
    assert {each for each in unnoticed if not is_listed(each, known)} == set()
    assert {each for each in known if not each.endswith(".*")} <= unnoticed
    assert {each.what for each in tried if each.outcome == "no row" and not is_listed(each.what, known)} == set()


def test_the_application_changes_nothing_unnoticed_but_what_the_guide_lists(books: Books) -> None:
    known = listed()

    tried = [
        books.as_role("darkroom_app", f"{table}.{column}", change(table, column, type_))
        for table, column, type_ in books.columns()
    ]

    report("Each column changed by the application's role", tried)
    assert {each.what for each in tried if each.is_unnoticed and not is_listed(each.what, known)} == set()
    assert {each.what for each in tried if each.outcome == "recorded"} == {
        "batch.credit_cap",
        "hook.disabled_at",
        "hook.removed_at",
        "hook.secret",
        "owner_cap.monthly_cap",
    }


@pytest.mark.parametrize("role", READERS)
def test_a_role_that_reads_changes_no_column(books: Books, role: str) -> None:
    tried = [
        books.as_role(role, f"{table}.{column}", change(table, column, type_))
        for table, column, type_ in books.columns()
    ]

    report(f"Each column changed by {role}", tried)
    assert {each.outcome for each in tried} <= {"denied", 'refused: column "id" can only be updated to DEFAULT'}
