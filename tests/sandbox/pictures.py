"""Small image files for the tests."""

import io

from PIL import Image


def picture(image_format: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "red") -> bytes:
    """An image file."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, image_format)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """The image in these bytes, all of it read."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
