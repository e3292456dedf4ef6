"""Draw a figure as bytes that depend on the figure alone."""

import io

import matplotlib.pyplot as plt

SVG_LIMIT = 500_000  # bytes; a larger drawing, such as many garments, travels as PNG alone
HUED = "hued"  # begins the gid of an image whose lightness says something, and which stays as it is
# On a dark page light and dark change places, and hues stay; in JupyterLab its theme decides, not the desktop's.
DARK = (
    "<style>@media (prefers-color-scheme: dark) { svg { filter: invert(0.93) hue-rotate(180deg) } "
    f'image[id^="{HUED}"] {{ filter: hue-rotate(180deg) invert(1) }} }}</style>'
)


def png(figure: plt.Figure) -> bytes:
    """Draw it at 150 dots per inch."""
    return _draw(figure, "png", dpi=150, metadata={"Software": None})


def svg(figure: plt.Figure, title: str) -> str:
    """Draw it with a title for those who do not see it; it is light on a light page and dark on a dark one."""
    text = _draw(figure, "svg", metadata={"Date": None, "Title": title}).decode()
    head, defs, rest = text.partition("<defs>")
    return f"{head}{DARK}\n {defs}{rest}"


def _draw(figure: plt.Figure, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "fmnist", "svg.fonttype": "path", "image.composite_image": False}):
        figure.savefig(buffer, format=kind, bbox_inches="tight", pad_inches=0.02, **options)
    return buffer.getvalue()
