"""Where an archived file lies, and what is said of a batch that is kept."""

from uuid import UUID

import pytest

from worker.archive.rules.candidates import Obstacle
from worker.archive.rules.tables import BY_NAME, TABLES, path_of

BATCH = UUID("01a2031a-d78e-70d8-ac4d-744f3fb5e53d")


@pytest.mark.parametrize("obstacle", list(Obstacle))
def test_each_obstacle_says_what_it_is_and_what_can_be_done(obstacle: Obstacle) -> None:
    assert obstacle.reason
    assert obstacle.next_step


def test_other_content_lies_in_another_file() -> None:
    one, other = (path_of(BATCH, 3, "job", digit * 64) for digit in "ab")

    assert one == f"archive/{BATCH}/0003-job-{'a' * 32}.parquet"
    assert one != other


def test_tables_come_after_those_that_their_rows_refer_to() -> None:
    names = [table.name for table in TABLES]

    assert names.index("job") < names.index("generation") < min(map(names.index, set(names) - {"job", "generation"}))
    assert {table.name: table for table in TABLES} == BY_NAME
