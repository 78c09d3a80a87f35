"""The documents of the repository as pages of the site: a hook of MkDocs.

The README is its first page. A link to a file that is no page of the site becomes the file's name.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Documents outside docs/, and the pages that they become."""
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#\s]*)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the documents that lie outside docs/."""
    for name, page in PAGES.items():
        content = rewritten((ROOT / name).read_text(encoding="utf-8"), name)
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the links of a page right."""
    source = page.file.src_uri
    return markdown if source in PAGES.values() else rewritten(markdown, f"docs/{source}")


def rewritten(markdown: str, source: str) -> str:
    """Return the text of a document with links between files as links between pages."""
    page = PAGES.get(source, source.removeprefix("docs/"))

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        is_page = file in PAGES or (file.startswith("docs/") and file.endswith(".md"))
        if not is_page and (ROOT / file).exists():
            return words
        there = PAGES.get(file, file.removeprefix("docs/"))
        return f"[{words}]({posixpath.relpath(there, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(link, markdown)
