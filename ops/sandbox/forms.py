"""Results in other forms than were ordered, among them some that are no images."""

import io
import secrets

from PIL import Image

from ops.sandbox.choices import ResultForm

_SIMPLE = {
    ResultForm.PNG: "PNG",
    ResultForm.JPEG: "JPEG",
    ResultForm.WEBP: "WEBP",
    ResultForm.GIF: "GIF",
    ResultForm.BMP: "BMP",
    ResultForm.AVIF: "AVIF",
    ResultForm.TIFF: "TIFF",
    ResultForm.JPEG2000: "JPEG2000",
    ResultForm.QOI: "QOI",
}
_ANIMATED = {ResultForm.APNG: "PNG", ResultForm.ANIMATED_GIF: "GIF", ResultForm.ANIMATED_WEBP: "WEBP"}
_TEXTS = {
    ResultForm.HTML: b"<!doctype html><title>Please wait</title><p>Your image is on its way.",
    ResultForm.SVG: b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>',
    ResultForm.PDF: b"%PDF-1.7\n%%EOF\n",
}


def in_form(data: bytes, form: ResultForm) -> bytes:
    """The picture in another form; the same bytes each time, but for ``random``."""
    if form is ResultForm.RANDOM:
        return secrets.token_bytes(512)
    if form is ResultForm.CUT_OFF:
        return data[: len(data) // 2]
    if form in _TEXTS:
        return _TEXTS[form]
    with Image.open(io.BytesIO(data)) as image:
        return _saved(image.convert("RGB"), form)


def _saved(image: Image.Image, form: ResultForm) -> bytes:
    buffer = io.BytesIO()
    if form in _ANIMATED:
        second = Image.eval(image, lambda value: 255 - value)
        image.save(buffer, _ANIMATED[form], save_all=True, append_images=[second], duration=100)
    else:
        image.save(buffer, _SIMPLE[form])
    return buffer.getvalue()
