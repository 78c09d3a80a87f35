"""The pictures of the example products are drawn with a few shapes, the same pixels every time."""

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

SIDE = 480
"""Width and height of a picture in pixels."""
_SCALE = 2
Draw = Callable[[ImageDraw.ImageDraw, str], None]
"""Draws one product in a colour, given as ``#rrggbb``."""


def picture(draw: Draw, paint: str) -> Image.Image:
    """The product on a light studio ground with a soft shadow, drawn large and then scaled down."""
    side = SIDE * _SCALE
    ground = Image.linear_gradient("L").resize((side, side)).point([248 - value // 9 for value in range(256)])
    image = Image.merge("RGB", (ground, ground, ground.point([max(0, value - 4) for value in range(256)])))
    shadow = Image.new("L", (side, side), 0)
    ImageDraw.Draw(shadow).ellipse((_p(90), _p(388), _p(390), _p(432)), fill=110)
    image.paste((60, 58, 66), mask=shadow.filter(ImageFilter.GaussianBlur(_p(9))))
    draw(ImageDraw.Draw(image), paint)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def sneaker(pen: ImageDraw.ImageDraw, paint: str) -> None:
    """Draw one in that colour."""
    upper = _points(84, 250, 96, 236, 150, 232, 196, 264, 246, 290, 330, 312, 394, 336, 404, 372, 84, 372)
    pen.polygon(upper, fill=paint)
    pen.polygon(_points(84, 250, 96, 236, 150, 232, 140, 300, 84, 330), fill=_shade(paint, -26))
    pen.pieslice(_box(320, 312, 416, 440), 180, 300, fill=_shade(paint, 34))
    pen.rounded_rectangle(_box(72, 362, 414, 402), radius=_p(18), fill="#f7f5f0")
    pen.rounded_rectangle(_box(72, 388, 414, 404), radius=_p(8), fill="#c9b79a")
    for step in range(5):
        x, y = 176 + step * 27, 268 + step * 13
        pen.line(_points(x, y, x + 26, y - 15), fill="#ffffff", width=_p(6))
    pen.line(_points(150, 348, 220, 318, 300, 352), fill="#ffffff", width=_p(9), joint="curve")


def mug(pen: ImageDraw.ImageDraw, paint: str) -> None:
    """Draw one in that colour."""
    pen.ellipse(_box(296, 196, 402, 334), outline=_shade(paint, -22), width=_p(24))
    pen.rounded_rectangle(_box(120, 150, 330, 412), radius=_p(34), fill=paint)
    pen.rectangle(_box(120, 150, 330, 220), fill=paint)
    pen.rounded_rectangle(_box(138, 180, 164, 384), radius=_p(13), fill=_shade(paint, 30))
    pen.rectangle(_box(120, 300, 330, 318), fill="#f2e6d2")
    pen.ellipse(_box(120, 128, 330, 176), fill=_shade(paint, 24))
    pen.ellipse(_box(134, 136, 316, 170), fill="#4a2c1d")


def lamp(pen: ImageDraw.ImageDraw, paint: str) -> None:
    """Draw one in that colour."""
    pen.ellipse(_box(160, 388, 320, 424), fill="#3c3a3f")
    pen.line(_points(240, 404, 180, 262), fill="#5a575e", width=_p(12))
    pen.line(_points(180, 262, 268, 160), fill="#5a575e", width=_p(12))
    pen.ellipse(_box(166, 248, 194, 276), fill="#c9a24a")
    pen.polygon(_points(226, 132, 294, 100, 376, 206, 246, 262), fill=paint)
    pen.polygon(_points(226, 132, 250, 120, 290, 240, 246, 262), fill=_shade(paint, 30))
    pen.polygon(_points(376, 206, 246, 262, 282, 272, 366, 234), fill="#ffe9a8")
    pen.ellipse(_box(240, 92, 284, 132), fill=_shade(paint, -24))


def bag(pen: ImageDraw.ImageDraw, paint: str) -> None:
    """Draw one in that colour."""
    pen.arc(_box(166, 84, 314, 300), 180, 360, fill=_shade(paint, -40), width=_p(16))
    pen.polygon(_points(112, 196, 368, 196, 398, 414, 82, 414), fill=paint)
    pen.polygon(_points(112, 196, 368, 196, 374, 240, 106, 240), fill=_shade(paint, 18))
    pen.line(_points(106, 240, 374, 240), fill=_shade(paint, -34), width=_p(4))
    pen.rounded_rectangle(_box(150, 282, 330, 384), radius=_p(14), outline=_shade(paint, -34), width=_p(5))
    pen.rounded_rectangle(_box(224, 226, 256, 262), radius=_p(6), fill="#d8b25c")


def chair(pen: ImageDraw.ImageDraw, paint: str) -> None:
    """Draw one in that colour."""
    for x, slant in ((142, -14), (330, 14), (176, -4), (300, 4)):
        pen.line(_points(x, 312, x + slant, 418), fill="#8a5a33", width=_p(13))
    pen.rounded_rectangle(_box(136, 86, 344, 270), radius=_p(52), fill=paint)
    pen.rounded_rectangle(_box(154, 102, 326, 256), radius=_p(42), fill=_shade(paint, 20))
    pen.rounded_rectangle(_box(116, 256, 364, 324), radius=_p(30), fill=_shade(paint, -14))
    pen.rounded_rectangle(_box(116, 250, 364, 296), radius=_p(22), fill=_shade(paint, 32))


def bottle(pen: ImageDraw.ImageDraw, paint: str) -> None:
    """Draw one in that colour."""
    pen.rounded_rectangle(_box(204, 64, 276, 122), radius=_p(10), fill="#2f3036")
    pen.polygon(_points(212, 118, 268, 118, 312, 182, 168, 182), fill=_shade(paint, 12))
    pen.rounded_rectangle(_box(168, 168, 312, 416), radius=_p(26), fill=paint)
    pen.rounded_rectangle(_box(182, 190, 200, 396), radius=_p(9), fill=_shade(paint, 44))
    pen.rounded_rectangle(_box(168, 262, 312, 350), radius=_p(2), fill="#f4efe4")
    pen.line(_points(190, 290, 290, 290), fill=_shade(paint, -30), width=_p(6))
    pen.line(_points(208, 316, 272, 316), fill=_shade(paint, -30), width=_p(4))


def _p(length: float) -> int:
    return round(length * _SCALE)


def _points(*numbers: float) -> list[tuple[int, int]]:
    return [(_p(x), _p(y)) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]


def _box(*numbers: float) -> list[int]:
    return [_p(number) for number in numbers]


def _shade(paint: str, by: int) -> tuple[int, int, int]:
    red, green, blue = (int(paint[place : place + 2], 16) for place in (1, 3, 5))
    return (_lit(red, by), _lit(green, by), _lit(blue, by))


def _lit(value: int, by: int) -> int:
    return max(0, min(255, value + by))
