"""Downloads from servers that apply a Content-Encoding without an Accept-Encoding in the request."""

import gzip
import zlib
from pathlib import Path

import pytest

from tests.provider.scripted import Step, answer, scripted_server
from tests.storage.test_download import HERE, LIMITS
from worker.storage.fetch.download import FetchFailed, FetchProblem, fetch


def encoded(content: bytes, encoding: str = "gzip") -> Step:
    return Step(reply=answer(content, headers=f"Content-Encoding: {encoding}\r\n"))


def gzipped(content: bytes) -> bytes:
    """Return the gzip form of the content, the same at every call: the parameters below name the tests."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzipped(b"image bytes")),
        ("X-GZIP", gzipped(b"image bytes")),
        ("deflate", zlib.compress(b"image bytes")),
        ("identity", b"image bytes"),
        ("gzip", b"image bytes"),
    ],
)
def test_a_file_that_was_compressed_on_the_way_arrives_as_it_is(tmp_path: Path, encoding: str, content: bytes) -> None:
    with scripted_server(encoded(content, encoding)) as server:
        fetched = fetch(server.url, tmp_path / "file", limits=LIMITS, allow=HERE)

    assert fetched.path.read_bytes() == b"image bytes"
    assert fetched.size_bytes == 11


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzipped(b"x" * 1_000_000), FetchProblem.TOO_LARGE),
        (gzipped(b"image bytes")[:-9], FetchProblem.TEMPORARY),
        (gzipped(b"")[:10] + b"damaged", FetchProblem.TEMPORARY),
    ],
)
def test_a_bomb_or_a_damaged_encoding_is_no_file(tmp_path: Path, content: bytes, problem: FetchProblem) -> None:
    with scripted_server(encoded(content)) as server, pytest.raises(FetchFailed) as caught:
        fetch(server.url, tmp_path / "file", limits=LIMITS, allow=HERE)

    assert caught.value.kind is problem
    assert not (tmp_path / "file").exists()
