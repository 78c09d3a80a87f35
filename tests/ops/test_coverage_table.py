"""The table of coverage sums the files of each room."""

import datetime as dt

from ops.coverage_table import PAGE, TOP, rooms, table


def file(*, statements: int, run: int, branches: int, taken: int) -> dict[str, dict[str, int]]:
    summary = {
        "num_statements": statements,
        "covered_lines": run,
        "num_branches": branches,
        "covered_branches": taken,
    }
    return {"summary": summary}


REPORT = {
    "files": {
        "worker/wiring.py": file(statements=10, run=5, branches=0, taken=0),
        "worker/hooks/calls.py": file(statements=20, run=20, branches=4, taken=2),
        "worker/hooks/queries/hooks.py": file(statements=5, run=5, branches=1, taken=1),
    }
}


def test_files_are_summed_by_room_and_the_whole_comes_last() -> None:
    found = rooms(REPORT)

    assert {name: (room.statements_run, room.branches_taken) for name, room in found.items()} == {
        TOP: (5, 0),
        "hooks": (25, 3),
        "together": (30, 3),
    }
    assert list(found)[-1] == "together"


def test_the_table_says_when_and_with_which_tests_it_was_measured() -> None:
    written = table(REPORT, dt.date(2026, 11, 30))

    assert written.startswith("Measured on 2026-11-30 with the whole suite:\n")
    assert "| hooks | 25 | 25 | 5 | 3 | 93.3 % |\n" in written


def test_a_table_of_some_rooms_leaves_out_the_others() -> None:
    assert list(rooms(REPORT, ["hooks"])) == ["hooks", "together"]
    assert "lower bounds" in table(REPORT, dt.date(2026, 11, 30), ["hooks"])


def test_the_page_has_the_place_for_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8").count("<!-- table -->") == 1
