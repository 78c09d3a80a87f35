"""Write every page of the reference."""

from ops.reference.pages import PAGES

for file, text in PAGES.items():
    file.write_text(text(), encoding="utf-8")
