"""Write sheets from the templates of this package, streamed to a temporary file that then replaces the old one."""

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from worker.core.output_files import file_mode
from worker.storage import thumbnails

_TEMPLATES = "templates"


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """The pieces are at ``path``; an older file is replaced only when the new one is complete."""
    write_all_whole([(path, pieces)])


def write_all_whole(files: Iterable[tuple[Path, Iterable[str]]]) -> None:
    """Each file has its pieces; older ones are replaced only when all new ones are complete, the first one last."""
    parts: dict[Path, Path] = {}
    try:
        for path, pieces in files:
            parts[path] = _part(path, pieces)
        for path, part in reversed(parts.items()):
            part.replace(path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _part(path: Path, pieces: Iterable[str]) -> Path:
    """Write the pieces under another name beside the path, and give that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        "w",
        dir=path.parent,
        prefix=f".{path.name[:100]}.",
        suffix=".part",
        encoding="utf-8",
        errors="replace",
        delete=False,
    ) as file:
        part = Path(file.name)
        try:
            file.writelines(pieces)
        except BaseException:
            part.unlink()
            raise
    part.chmod(file_mode())
    return part


def environment() -> Environment:
    """Return the template environment, with autoescape and strict undefined names."""
    made = Environment(
        loader=PackageLoader(__package__, _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"thumbnail": thumbnail, "link": _link, "number": _number, "moment": _moment}
    return made


def own_text(*names: str) -> Markup:
    """Return files of the templates' folder, one after the other, as they are."""
    folder = files(__package__).joinpath(_TEMPLATES)
    text = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    return Markup(text)  # noqa: S704  files of this package, not a user's text


def content_hash(text: str) -> str:
    """Return the hash by which a page's own policy permits one script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _link(href: str | None) -> str | None:
    """The address when a click on it can only open a file or a page; a ``javascript:`` address is dropped."""
    return href if href and urlsplit(href).scheme in {"", "file", "http", "https"} else None


def _number(value: int) -> str:
    return f"{value:,}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def thumbnail(data: bytes | None, longest: int = thumbnails.LONGEST) -> str | None:
    """The image made small, as a ``data:`` address; None when there is none or it cannot be read."""
    small = thumbnails.made(data, longest) if data else None
    return None if small is None else f"data:{thumbnails.MIME_TYPE};base64,{base64.b64encode(small).decode()}"
