import hashlib
import re
import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from worker.core.rules.models_catalogue import MODELS, PIXELS
from worker.storage import images
from worker.storage.images import MAX_REFERENCE_BYTES, BadImage, ImageFacts, inspect_reference, inspect_result


def picture(form: str, *, size: tuple[int, int] = (48, 32), **options: Any) -> bytes:
    file = BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, form, **options)
    return file.getvalue()


def animated(form: str) -> bytes:
    other = Image.new("RGB", (48, 32), "red")
    return picture(form, save_all=True, append_images=[other])


def huge_png(width: int, height: int) -> bytes:
    """A PNG that claims many pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("form", "mime_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_a_permitted_image_gives_its_facts(form: str, mime_type: str) -> None:
    content = picture(form)

    facts = inspect_reference(content)

    assert facts == ImageFacts(
        sha256=hashlib.sha256(content).hexdigest(),
        mime_type=mime_type,
        size_bytes=len(content),
        width=48,
        height=32,
    )


def test_the_content_decides_the_type_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture("JPEG"))

    assert inspect_reference(path).mime_type == "image/jpeg"


def test_a_file_and_its_bytes_give_the_same_facts(tmp_path: Path) -> None:
    content = picture("PNG")
    (tmp_path / "a.png").write_bytes(content)

    assert inspect_result(tmp_path / "a.png") == inspect_result(content)


def test_a_jpeg_with_a_preview_behind_it_is_a_jpeg() -> None:
    content = picture("MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])

    assert inspect_reference(content).mime_type == "image/jpeg"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (
            b"hello, I am no image\n",
            "is text, not an image; permitted are JPEG, PNG and WebP images",
        ),
        ("こんにちは".encode() * 60, "is text, not an image; permitted are"),
        (b" \n \n", "is blank text, not an image"),
        (b"<!DOCTYPE html><p>404", "is an HTML page"),
        (b'<?xml version="1.0"?>\n<svg width="1">', "is an SVG drawing"),
        (picture("GIF"), "is a GIF image; permitted are JPEG, PNG and WebP images"),
        (picture("BMP"), "is a BMP image"),
        (picture("TIFF"), "is a TIFF image"),
        (b"%PDF-1.7 ...", "is a PDF document"),
        (b"\x00\x00\x00\x1cftypheic\x00", "is a HEIC image"),
        (b"\x00\x00\x00\x1cftypavif\x00", "is an AVIF image"),
        (b"\x00\x00\x00\x1cftypisom\x00", "is a video file"),
        (b"PK\x03\x04\x14\x00", "is a ZIP archive"),
        (b"\x00\x01\x02\x03\xff", "is of an unknown type"),
        (b"\x89PNG\r\n\x1a\nrubbish", "is damaged or cut off"),
        (b"\xff\xd8\xff\xe0", "is damaged or cut off"),
        (animated("PNG"), "is animated"),
        (animated("WEBP"), "is animated"),
        (huge_png(10_000, 5_001), "has 10000 x 5001 pixels; at most 50,000,000 in all are permitted"),
    ],
)
def test_what_is_not_a_usable_image_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(BadImage) as caught:
        inspect_reference(content)

    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(
    "content",
    [
        b"DB_PASSWORD=hunter2\n",
        b"\xff\xd8\xffDB_PASSWORD=hunter2" * 9,
        b"\x89PNG\r\n\x1a\nDB_PASSWORD=hunter2" * 9,
        b"RIFF\x40\x00\x00\x00WEBPVP8 DB_PASSWORD=hunter2",
        picture("PNG")[:33] + b"\0\0\0\x04hunt" + b"DB_PASSWORD=hunter2" * 9,
    ],
    ids=["text", "JPEG", "PNG", "WebP", "PNG's chunk"],
)
def test_the_reason_quotes_nothing_of_a_file_that_was_named_by_mistake(content: bytes) -> None:
    with pytest.raises(BadImage) as caught:
        inspect_reference(content)

    assert not re.search("hunt|PASSWORD", caught.value.reason)


# pytest puts its own warning filters over the one that worker.storage.images sets for the process.
@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10_000, 12_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_unread(size: tuple[int, int]) -> None:
    with pytest.raises(BadImage, match="has more than 50,000,000 pixels"):
        inspect_reference(huge_png(*size))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_an_image_that_was_cut_off_is_refused(form: str, kept: float) -> None:
    content = picture(form)

    with pytest.raises(BadImage, match="damaged or cut off"):
        inspect_result(content[: int(len(content) * kept)])


def moving(form: str, frames: int = 4) -> bytes:
    file = BytesIO()
    first, *others = [Image.effect_noise((48, 32), 60 + number).convert("RGB") for number in range(frames)]
    first.save(file, form, save_all=True, append_images=others)
    return file.getvalue()


MOVING = ["PNG", "WEBP", "GIF", "TIFF", "AVIF"]


@pytest.mark.parametrize("form", MOVING)
def test_a_whole_animation_is_kept_with_the_number_of_its_frames(form: str) -> None:
    assert inspect_result(moving(form)).frames == 4


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF"])
def test_an_animation_whose_last_frame_is_cut_off_is_refused(form: str) -> None:
    content = moving(form)

    with pytest.raises(BadImage, match="damaged or cut off"):
        inspect_result(content[: int(len(content) * 0.95)])


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_an_animation_whose_last_frame_is_damaged_is_refused(form: str) -> None:
    content = bytearray(moving(form))
    begin = int(len(content) * 0.9)
    content[begin : begin + 200] = bytes(200)

    with pytest.raises(BadImage, match="damaged or cut off"):
        inspect_result(bytes(content))


def damage(content: bytes, at: float, zeros: int) -> bytes:
    damaged = bytearray(content)
    begin = int(len(damaged) * at)
    end = min(begin + zeros, len(damaged))
    damaged[begin:end] = bytes(end - begin)
    return bytes(damaged)


@pytest.mark.parametrize("form", MOVING)
@pytest.mark.parametrize("at", [0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95])
@pytest.mark.parametrize("zeros", [20, 400, 2000])
def test_a_damaged_animation_is_kept_or_refused_and_never_an_error_of_ours(form: str, at: float, zeros: int) -> None:
    content = damage(moving(form), at, zeros)

    with suppress(BadImage):
        assert inspect_result(content).frames >= 1


@pytest.mark.parametrize(
    ("bound", "value"), [("MAX_FRAMES", 3), ("MAX_ANIMATED_PIXELS", 3 * 48 * 32), ("MAX_DECODING_S", -1.0)]
)
def test_what_lies_beyond_the_bounds_of_an_animation_is_kept_undecoded(
    bound: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, bound, value)
    content = moving("TIFF", frames=8)

    assert inspect_result(content[: int(len(content) * 0.95)]).frames == 8


def test_a_png_with_a_changed_byte_is_refused() -> None:
    content = bytearray(picture("PNG"))
    content[len(content) // 2] ^= 0xFF

    with pytest.raises(BadImage, match="damaged or cut off"):
        inspect_result(bytes(content))


def test_a_png_with_a_wrong_checksum_is_refused_though_its_pixels_can_be_read() -> None:
    content = bytearray(picture("PNG"))
    # The last four bytes before the closing IEND chunk of twelve are the checksum of the pixels.
    content[-13] ^= 0xFF

    with pytest.raises(BadImage, match="damaged or cut off"):
        inspect_result(bytes(content))


def test_a_reference_may_have_as_many_bytes_as_any_model_takes_and_not_one_more() -> None:
    content = picture("JPEG")
    longest = content + bytes(MAX_REFERENCE_BYTES - len(content))

    assert inspect_reference(longest).size_bytes == max(spec.reference_max_bytes for spec in MODELS.values())
    with pytest.raises(BadImage, match="has 30,000,001 bytes; at most 30,000,000 are permitted"):
        inspect_reference(longest + b"\x00")


def test_a_result_may_be_larger_than_a_reference() -> None:
    content = picture("JPEG") + bytes(MAX_REFERENCE_BYTES)

    assert inspect_result(content).size_bytes > MAX_REFERENCE_BYTES


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(BadImage, match="has 1,099,511,627,776 bytes"):
        inspect_reference(path)


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="does not exist"):
        inspect_reference(tmp_path / "none.png")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="is not a file"):
        inspect_reference(tmp_path)


def test_every_image_size_has_its_usual_pixels() -> None:
    assert dict(PIXELS) == {
        "square": (512, 512),
        "square_hd": (1024, 1024),
        "portrait_4_3": (768, 1024),
        "portrait_16_9": (576, 1024),
        "landscape_4_3": (1024, 768),
        "landscape_16_9": (1024, 576),
    }
