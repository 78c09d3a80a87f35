import gzip
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from worker.core.rules.fault import Fault
from worker.intake.manifest import Form, ManifestError, Row, read
from worker.intake.manifest.reader import LINE_MAX_BYTES


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def seen(path: Path | BinaryIO, form: Form | None = None) -> list[tuple[int, object]]:
    return [(row.line, row.raw if isinstance(row, Row) else "fault") for row in read(path, form=form)]


def faults(path: Path) -> list[Fault]:
    return [row for row in read(path) if isinstance(row, Fault)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_is_read_with_each_delimiter_ending_and_mark(
    tmp_path: Path, delimiter: str, ending: str, mark: str
) -> None:
    lines = [f"key{delimiter}prompt", f'a{delimiter}"x, y; z"', f"b{delimiter}", ""]
    path = written(tmp_path, "m.csv", mark + ending.join(lines))

    assert seen(path) == [(2, {"key": "a", "prompt": "x, y; z"}), (3, {"key": "b", "prompt": ""})]


def test_a_csv_row_has_the_number_of_the_line_where_it_begins(tmp_path: Path) -> None:
    path = written(tmp_path, "m.csv", '\nkey,prompt\na,"one\ntwo\nthree"\n\n,\nb,"say ""hi"""\n')

    assert seen(path) == [
        (3, {"key": "a", "prompt": "one\ntwo\nthree"}),
        (8, {"key": "b", "prompt": 'say "hi"'}),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("key,prompt\na,b,c\nd,e\n", 2, "has 3 cells, the header has 2"),
        ("key,prompt\na\nd,e\n", 2, "has 1 cells, the header has 2"),
        ('key,prompt\na,"b"c\nd,e\n', 2, "is not CSV"),
        ("prompt,prompt\na,b\n", 1, "names this column 2 times"),
        ("prompt,,key\na,b,c\n", 1, "cell 2 is empty"),
        ("key,text\na,b\n", 1, "no such column; it has 'key', 'text'"),
        ('key,prompt\na,b\nc,"open\nd,e\n', 3, "lines 3 to 4 were read as one row"),
    ],
)
def test_a_broken_csv_row_is_a_fault_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    (fault,) = faults(written(tmp_path, "m.csv", text))

    assert fault.line == line
    assert reason in fault.reason


def test_rows_after_a_broken_one_are_still_read(tmp_path: Path) -> None:
    path = written(tmp_path, "m.csv", b'key,prompt\na,"b"c\nd,\xff\ne,f\n')

    assert seen(path) == [(2, "fault"), (3, "fault"), (4, {"key": "e", "prompt": "f"})]


def test_jsonl_skips_blank_lines_and_counts_them(tmp_path: Path) -> None:
    path = written(tmp_path, "m.jsonl", '\ufeff\n{"prompt": "a\u2028b"}\r\n   \n{"n": 1}')

    assert seen(path) == [(2, {"prompt": "a\u2028b"}), (4, {"n": 1})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1,}', "column 9"),
        (b'{"a": 1} {"a": 2}', "column 10"),
        (b'{"a": 1, "a": 2}', "names 'a' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "names 'b' twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": "\xff"}', "byte 8 is 0xff"),
        (b'"text"', "not an object"),
        (b"[1]", "not an object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": "' + b"x" * LINE_MAX_BYTES + b'"}', "longer than 1,048,576 bytes"),
    ],
    ids=["comma", "two", "twice", "inner", "nan", "inf", "utf8", "text", "list", "digits", "deep", "long"],
)
def test_a_broken_json_line_is_a_fault_and_the_next_line_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    path = written(tmp_path, "m.jsonl", b'{"n": 1}\n' + line + b'\n{"n": 3}\n')

    first, fault, last = read(path)

    assert (first.line, fault.line, last.line) == (1, 2, 3)
    assert isinstance(fault, Fault)
    assert reason in fault.reason


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.CSV.GZ", "m.dat", "m"])
def test_gzip_is_unpacked_whatever_the_name(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, gzip.compress(b"key,prompt\na,b\n"))

    assert seen(path) == [(2, {"key": "a", "prompt": "b"})]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", 'prompt\n"{}"\n'),
        ("m.tsv", "prompt\tkey\n{}\ta\n"),
        ("m.txt", "key,Text,prompt\n{},b,c\n"),
    ],
)
def test_csv_is_told_by_the_name_or_by_its_header(tmp_path: Path, name: str, content: str) -> None:
    (row,) = read(written(tmp_path, name, content))

    assert isinstance(row, Row)
    assert "{}" in row.raw.values()


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'{"prompt": "a"}\n', [(1, {"prompt": "a"})]),
        (b"prompt\na\n", [(2, {"prompt": "a"})]),
        (gzip.compress(b'{"prompt": "a"}\n', mtime=0), [(1, {"prompt": "a"})]),
    ],
    ids=["jsonl", "csv", "gzip"],
)
def test_a_stream_is_told_by_its_first_bytes(content: bytes, rows: list[tuple[int, object]]) -> None:
    assert seen(io.BytesIO(content)) == rows


def test_the_form_that_is_asked_for_wins_over_the_name(tmp_path: Path) -> None:
    path = written(tmp_path, "m.csv", '{"prompt": "a"}\n')

    assert seen(path, Form.JSONL) == [(1, {"prompt": "a"})]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.jsonl", b'[{"prompt": "a"}]', "one object to a line"),
        ("m.jsonl", b'{\n  "prompt": "a"\n}', "each object on one line"),
        ("m.jsonl", b"", "is empty"),
        ("m.jsonl", b" \n\n", "is empty"),
        ("m.csv", b"key,prompt\n", "contains no requests"),
        ("m.csv", b"PK\x03\x04rest", "export it as CSV"),
        ("m.csv", "prompt\na\n".encode("utf-16"), "UTF-16"),
        ("m.dat", b"hello\n", "permitted: .csv"),
        ("m.csv.gz", b"prompt\na\n", "is not gzip"),
        ("m.csv.gz", gzip.compress(b"prompt\na\n" * 900, mtime=0)[:-9], "damaged or cut off"),
        ("m.csv.gz", b"\x1f\x8bnot gzip at all", "damaged or cut off"),
    ],
)
def test_a_manifest_that_is_none_is_refused_with_a_next_step(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = written(tmp_path, name, content)

    with pytest.raises(ManifestError, match=r"m\..*") as caught:
        seen(path)

    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        seen(tmp_path / name)


class Endless(io.RawIOBase):
    """One pattern again and again, without ever holding all of it."""

    def __init__(self, pattern: bytes, times: int) -> None:
        self._blocks: Iterator[bytes] = iter([pattern] * times)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        self._rest = self._rest or next(self._blocks, b"")
        data, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(data)] = data
        return len(data)


@pytest.mark.parametrize(
    "pattern",
    [b'{"prompt": "' + b"x" * 16_000 + b'"}\n', b"x" * 16_000],
    ids=["many lines", "one line without an end"],
)
def test_a_manifest_of_any_length_is_read_in_bounded_memory(pattern: bytes) -> None:
    stream = io.BufferedReader(Endless(pattern, 1200))
    tracemalloc.start()

    count = sum(1 for _ in read(stream, form=Form.JSONL))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count > 0
    assert peak < 8_000_000


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;"])
def test_the_line_that_tells_excel_the_delimiter_is_read(tmp_path: Path, first: str) -> None:
    path = tmp_path / "chairs.csv"
    path.write_text(f"{first}\r\nkey;prompt\r\nred;A red, or reddish, chair\r\n", encoding="utf-8")

    assert [(row.line, row.raw) for row in read(path) if isinstance(row, Row)] == [
        (3, {"key": "red", "prompt": "A red, or reddish, chair"})
    ]
