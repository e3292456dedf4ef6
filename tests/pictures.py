"""Take the README's pictures of a report: `python tests/pictures.py [FOLDER]` (Chromium; `make pictures`)."""

import io
import shutil
import sys
from pathlib import Path

import typst
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
VIEWS = (
    ("light", 1280, 0, 1000),
    ("light", 390, 0, 1000),
    ("dark", 390, "#fig-loss", 1000),
)  # theme, width, top, height
SHEET = """#set page(width: auto, height: auto, margin: 6pt, fill: luma(75%))
#grid(columns: 2, column-gutter: 6pt, ..(1, 2).map(page => box(fill: white, image("report.pdf", page: page))))"""


def pages(folder: Path) -> Image.Image:
    """Draw the first two pages of its PDF side by side."""
    main = folder / ".pictures.typ"
    main.write_text(SHEET, "utf-8")
    try:
        return Image.open(io.BytesIO(typst.compile(main, format="png", ppi=90)))
    finally:
        main.unlink()


def views(folder: Path) -> Image.Image:
    """Show its HTML on a desktop, on a phone, and in the dark, side by side."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shots = [_shot(browser, (folder / "report.html").as_uri(), *view) for view in VIEWS]
        browser.close()
    sheet = Image.new("RGB", (sum(shot.width + 16 for shot in shots) + 16, VIEWS[0][3] + 32), "#c0c0c0")
    left = 16
    for shot in shots:
        sheet.paste(shot, (left, 16))
        left += shot.width + 16
    return sheet


def _shot(browser, address: str, theme: str, width: int, top, height: int) -> Image.Image:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
    page.goto(f"{address}{top or ''}")
    return Image.open(io.BytesIO(page.screenshot()))


if __name__ == "__main__":
    source = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "reports" / "reference").absolute()
    for name, picture in (("report-pdf", pages(source)), ("report-html", views(source))):
        path = ROOT / "reports" / "pictures" / f"{name}.png"
        picture.convert("RGB").quantize(256).save(path, optimize=True)
        print(path.relative_to(ROOT), path.stat().st_size)
