"""The figures come into the document, and each benchmark can be asked for by its name."""

from pathlib import Path

import pytest

from ops.bench import runner
from ops.bench.findings import Finding

FINDING = Finding(
    name="polls", title="Polls", method="Counted.", columns=("a", "b"), rows=[("1", "2")], figures={"a": 1}, load=0.5
)


def test_figures_replace_what_lies_between_the_markers_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{runner.BEGIN}\nold\n{runner.END}\nafter\n", encoding="utf-8")

    runner.write_between_markers(document, [FINDING])

    text = document.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{runner.BEGIN}\n")
    assert text.endswith(f"\n{runner.END}\nafter\n")
    assert "### Polls\n\nCounted. Load average: 0.5.\n\n| a | b |\n|---|---|\n| 1 | 2 |" in text
    assert "old" not in text


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("words", encoding="utf-8")

    with pytest.raises(SystemExit, match="put them where the figures belong"):
        runner.write_between_markers(document, [FINDING])

    assert document.read_text(encoding="utf-8") == "words"


def test_an_unknown_benchmark_is_refused_with_the_names_of_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["speed"])

    assert "there is no benchmark speed: choose from enqueue, " in capsys.readouterr().err
