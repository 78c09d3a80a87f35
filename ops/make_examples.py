"""The example catalog and its references are drawn and written here, the same bytes every time.

Run ``python -m ops.make_examples`` to write ``examples/`` again. Three lines are wrong on purpose: a prompt
over the limit, a text file that is called ``.png``, and an image size that does not exist.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from PIL import Image

from ops import example_pictures as pictures

ROOT = Path(__file__).resolve().parent.parent / "examples"
SIZES = ("square_hd", "portrait_4_3", "landscape_16_9", "square", "landscape_4_3", "portrait_16_9")


@dataclass(frozen=True, kw_only=True)
class Product:
    """One product of the shop: its picture, and the scenes that it is wanted in."""

    sku: str
    name: str
    colour: str
    paint: str
    material: str
    season: str
    reference: str | None
    draw: pictures.Draw | None
    scenes: tuple[str, ...]


def main() -> None:
    """Write the references and the manifest below ``examples/``."""
    folder = ROOT / "references"
    folder.mkdir(parents=True, exist_ok=True)
    for product in PRODUCTS:
        if product.reference and product.draw:
            _save(pictures.picture(product.draw, product.paint), folder / product.reference)
    (folder / "not-an-image.png").write_text("This is a line of text that only calls itself an image.\n")
    lines = [json.dumps(line, ensure_ascii=False) for line in manifest()]
    (ROOT / "catalog.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def manifest() -> Iterator[dict[str, object]]:
    """Every line in order, with the three wrong ones in between."""
    good = list(_good())
    wrong = dict(zip((9, 21, 34), _wrong(), strict=True))
    for number, line in enumerate(good, start=1):
        yield line
        if number in wrong:
            yield wrong[number]


def _good() -> Iterator[dict[str, object]]:
    sizes = cycle([(size, form) for form in ("png", "jpeg") for size in SIZES])
    for product in PRODUCTS:
        for number, scene in enumerate(product.scenes, start=1):
            size, form = next(sizes)
            line: dict[str, object] = {
                "key": f"{product.sku.lower()}-{number}",
                "prompt": _prompt(product, scene),
                "image_size": size,
                "output_format": form,
            }
            if product.reference:
                line["reference"] = f"references/{product.reference}"
            yield line | _facts(product)


def _facts(product: Product) -> dict[str, object]:
    return {
        "sku": product.sku,
        "colour": product.colour,
        "material": product.material,
        "season": product.season,
    }


def _prompt(product: Product, scene: str) -> str:
    keep = "Keep the shape and the colour of the product in the reference image. " if product.reference else ""
    return f"{product.name} in {product.colour}, {product.material}, {scene}. {keep}No text, no logo, no people."


def _wrong() -> tuple[dict[str, object], ...]:
    sentence = "A ceramic mug on an oak table, every detail of the glaze described at length. "
    return (
        {"key": "wrong-prompt-too-long", "prompt": sentence * 66, "sku": "MUG-900", "colour": "white"},
        {
            "key": "wrong-reference-is-text",
            "prompt": "The product of the reference image on a plain white background, soft daylight.",
            "reference": "references/not-an-image.png",
            "sku": "BAG-901",
            "colour": "black",
        },
        {
            "key": "wrong-image-size",
            "prompt": "A wool scarf folded on a grey stone, overcast light, close-up of the weave.",
            "image_size": "widescreen",
            "sku": "SCF-902",
            "colour": "grey",
        },
    )


def _save(image: Image.Image, path: Path) -> None:
    match path.suffix:
        case ".jpg":
            image.save(path, quality=82, optimize=True)
        case ".webp":
            image.save(path, quality=80, method=6)
        case _:
            image.save(path, optimize=True)


PRODUCTS = (
    Product(
        sku="SHOE-110",
        name="A low running shoe",
        colour="signal red",
        paint="#d5402b",
        material="knitted mesh with a white foam sole",
        season="spring",
        reference="sneaker.jpg",
        draw=pictures.sneaker,
        scenes=(
            "side view on a wet asphalt track at dawn, long reflections",
            "three-quarter view floating above a pale grey background, crisp studio light",
            "on a mossy rock beside a mountain stream, morning mist",
            "on a bright orange plinth, hard shadow, bold poster composition",
            "seen from above among fallen cherry blossoms",
            "in an open cardboard box with tissue paper, overhead soft light",
        ),
    ),
    Product(
        sku="MUG-204",
        name="A stoneware mug",
        colour="sea green",
        paint="#2f8577",
        material="hand-glazed with a cream band",
        season="autumn",
        reference="mug.png",
        draw=pictures.mug,
        scenes=(
            "steaming on a window sill, rain on the glass behind it",
            "on an oak breakfast table with rye bread and honey, warm side light",
            "on a stack of old books beside a reading lamp",
            "in a row of three on a white shelf, even light, catalogue style",
            "held by the fork of a birch branch, first snow",
        ),
    ),
    Product(
        sku="LAMP-317",
        name="A jointed desk lamp",
        colour="mustard yellow",
        paint="#e0a51f",
        material="powder-coated steel with brass joints",
        season="all year",
        reference="lamp.webp",
        draw=pictures.lamp,
        scenes=(
            "lighting an architect's drawing on a walnut desk at night",
            "against a deep blue wall, single pool of light",
            "on a white background with a soft shadow, product catalogue",
            "in a small attic room with a sloping window, dusk",
            "on a workbench among pencils and a steel rule",
        ),
    ),
    Product(
        sku="BAG-422",
        name="A leather tote bag",
        colour="cognac",
        paint="#a8602f",
        material="full-grain leather with a brass clasp",
        season="autumn",
        reference="tote.jpg",
        draw=pictures.bag,
        scenes=(
            "on a café chair by a marble table, morning light",
            "standing on a stone step in front of a green door",
            "flat lay with a notebook, a scarf and a pair of sunglasses",
            "on a seamless beige background, soft shadow, front view",
        ),
    ),
    Product(
        sku="CHR-531",
        name="An upholstered armchair",
        colour="dusty blue",
        paint="#54779c",
        material="wool bouclé on beech legs",
        season="winter",
        reference="chair.webp",
        draw=pictures.chair,
        scenes=(
            "in a bright living room with a tall plant and linen curtains",
            "beside a fireplace, evening, warm light on one side",
            "in an empty gallery with a polished concrete floor",
            "on a white background, three-quarter view, catalogue light",
        ),
    ),
    Product(
        sku="BTL-640",
        name="An insulated bottle",
        colour="forest green",
        paint="#3d6b45",
        material="matt enamelled steel with a paper label",
        season="summer",
        reference="bottle.png",
        draw=pictures.bottle,
        scenes=(
            "on a sunlit rock above a lake, pine trees out of focus",
            "in the side pocket of a canvas rucksack, close-up",
            "with drops of water on a slate surface, dark background",
            "on a white background, front view, even light",
        ),
    ),
    Product(
        sku="SCF-700",
        name="A long scarf",
        colour="heather grey",
        paint="#8d8a94",
        material="lambswool with a fringe",
        season="winter",
        reference=None,
        draw=None,
        scenes=(
            "folded on a wooden stool, window light from the left",
            "hanging from an iron hook on a whitewashed wall",
            "macro view of the weave and the fringe",
            "wound around a snow-covered fence post, low winter sun",
        ),
    ),
    Product(
        sku="CND-810",
        name="A scented candle",
        colour="ivory",
        paint="#efe6d0",
        material="soy wax in a ribbed glass",
        season="winter",
        reference=None,
        draw=None,
        scenes=(
            "burning on a bath tub's edge, steam, dim light",
            "on a tray with dried oranges and cinnamon",
            "beside a stack of linen towels, high-key light",
            "alone on black, the flame the only light",
        ),
    ),
    Product(
        sku="TEA-905",
        name="A cast-iron teapot",
        colour="matt black",
        paint="#26262a",
        material="cast iron with a bamboo handle",
        season="all year",
        reference=None,
        draw=None,
        scenes=(
            "on a tatami mat with two small cups, soft side light — 静かな朝",
            "pouring tea, a thin stream frozen in the air",
            "on a grey linen cloth, seen from above, with loose green tea",
            "on a stone ledge in a garden after the rain",
            "in a row of three sizes, white background, catalogue light",
        ),
    ),
)
"""The shop's products, in the order of the manifest."""

if __name__ == "__main__":
    main()
