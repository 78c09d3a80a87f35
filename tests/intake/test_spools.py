"""Requests wait as rows: their words stay, and so do the hashes of earlier versions."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from worker.intake.request_spool import Spool
from worker.intake.rules.request import JobRequest, fingerprint, validate
from worker.storage.spool import SpoolFolder

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
REQUESTS = st.builds(
    JobRequest,
    line=st.integers(1, 10**6),
    key=TEXT,
    prompt=TEXT,
    model=st.just("qwen-image"),
    params=st.fixed_dictionaries({"image_size": st.sampled_from(["square", "portrait_4_3"]), "a": st.just("b")}),
    references=st.just(()),
    metadata=st.dictionaries(TEXT, TEXT | st.integers() | st.none(), max_size=3),
)
HASHES = st.just(()) | st.just(("0" * 64,)) | st.just(("0" * 64, "1" * 64))


def named(references: tuple[str, ...]) -> object:
    """Return what stands for the references: nothing or one as before there could be several."""
    return list(references) if len(references) > 1 else next(iter(references), None)


@given(REQUESTS, HASHES)
def test_a_batch_is_told_by_the_hash_that_it_always_had(request: JobRequest, references: tuple[str, ...]) -> None:
    spool = Spool(SpoolFolder())

    spool.add(request, references)

    params, rest = dict(request.params), dict(request.metadata)
    values = [request.line, request.key, request.prompt, request.model, params, named(references), rest]
    assert spool.content_hash == hashlib.sha256(CANONICAL.encode(values).encode() + b"\n").hexdigest()


@given(REQUESTS, HASHES)
def test_an_image_is_told_by_the_fingerprint_that_it_always_had(
    request: JobRequest, references: tuple[str, ...]
) -> None:
    content = {"model": request.model, "params": dict(request.params), "prompt": request.prompt}

    found = fingerprint(request, references)

    assert found == hashlib.sha256(CANONICAL.encode({**content, "reference": named(references)}).encode()).hexdigest()


@given(st.lists(REQUESTS, max_size=5))
def test_each_request_is_one_row_whatever_its_words(requests: list[JobRequest]) -> None:
    spool = Spool(SpoolFolder())
    for request in requests:
        spool.add(request, ())

    rows = list(spool)

    assert [row.split(b"\t")[0] for row in rows] == [str(each.line).encode() for each in requests]
    assert all(row.count(b"\t") == 9 and row.endswith(b"\n") and row.count(b"\n") == 1 for row in rows)


def test_a_line_of_a_manifest_with_every_sign_of_copy_is_one_row() -> None:
    request = validate({"key": "a", "prompt": "tab\t back\\ feed\n return\r \\. \\N end"}, 1)
    spool = Spool(SpoolFolder())
    assert isinstance(request, JobRequest)

    spool.add(request, ())

    assert b"tab\\t back\\\\ feed\\n return\\r \\\\. \\\\N end" in next(iter(spool))
