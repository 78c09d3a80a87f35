"""Ids that follow from a form."""

from uuid import UUID

from worker.web.rules.form_ids import new_ids

FORM = UUID("01a226fb-54b2-7744-9e6d-edb8c238260d")


def test_the_same_request_has_the_same_ids_each_another_one() -> None:
    first, again = (new_ids(FORM, actor="web:ann", path="/x") for _ in range(2))

    ids = [first() for _ in range(3)]

    assert ids == [again() for _ in range(3)]
    assert len({FORM, *ids}) == 4


def test_another_person_page_or_form_has_other_ids() -> None:
    other = UUID(int=FORM.int + 1)
    makers = [
        new_ids(FORM, actor="web:ann", path="/x"),
        new_ids(FORM, actor="web:bob", path="/x"),
        new_ids(FORM, actor="web:ann", path="/y"),
        new_ids(other, actor="web:ann", path="/x"),
    ]

    assert len({make() for make in makers}) == len(makers)


def test_an_id_is_of_version_7_and_of_the_time_of_its_form() -> None:
    found = new_ids(FORM, actor="web:ann", path="/x")()

    assert (found.version, found.variant, found.int >> 80) == (7, FORM.variant, FORM.int >> 80)
