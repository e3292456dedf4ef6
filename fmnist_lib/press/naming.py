"""Write names beside points, as near as goes without hiding another name, a point or a line."""

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.cbook import STEP_LOOKUP_MAP
from matplotlib.path import Path
from matplotlib.transforms import Bbox

GAPS = (7, 10, 14, 19, 25, 32, 40, 55, 75, 100)  # points, from a point to its name
TURNS = sorted(np.arange(16) / 8, key=lambda turn: (turn % 0.5 > 0, turn))  # of π: beside, above and below come first
HIDDEN, OVER, ACROSS = 1000, 20, 3  # points that it costs to hide a name, to lie over a line of 1 pt, to cross one
ROUNDS = 3


def name_points(ax, names, points, hues):
    """Write each name as near its point as it goes, and lead to it in its hue; what is drawn already is in the way."""
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()  # settles the layout, and so where the points lie
    unit, middles = figure.dpi / 72, ax.transData.transform(points)
    texts = [ax.annotate(name, at, (0, 0), textcoords="offset points") for name, at in zip(names, points, strict=True)]
    sizes = [text.get_window_extent().size for text in texts]
    lines, marks = _lines(ax), [Bbox([at, at]).padded(4 * unit) for at in middles]
    boxes, leads = [None] * len(texts), [None] * len(texts)
    for _ in range(ROUNDS):  # the later ones make the earlier ones move
        for i, (at, size) in enumerate(zip(middles, sizes, strict=True)):
            others = [box for j, box in enumerate(boxes) if box is not None and j != i]
            taken = marks + others, lines, [lead for j, lead in enumerate(leads) if lead is not None and j != i]
            boxes[i], leads[i] = _nearest(at, size, unit, ax.bbox, marks[i], taken)
    for text, at, box, lead, hue in zip(texts, middles, boxes, leads, hues, strict=True):
        text.set(position=(box.p0 - at) / unit, ha="left", va="bottom")
        end = (lead.vertices[1] - at) / unit
        line = {"arrowstyle": "-", "color": hue, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
        ax.annotate("", text.xy, end, textcoords="offset points", arrowprops=line, zorder=0)
    return ax


def _lines(ax) -> list[tuple[Path, float]]:
    """Return what is drawn as lines, in pixels and in their steps, and how wide."""
    steps = ((line, STEP_LOOKUP_MAP[line.get_drawstyle()](*line.get_xydata().T)) for line in ax.lines)
    return [
        (Path(line.get_transform().transform(np.transpose(shown))), line.get_linewidth())
        for line, shown in steps
        if len(shown[0]) > 1
    ]


def _nearest(at, size, unit, room, own, taken) -> tuple[Bbox, Path]:
    """Return the box that costs least for a name, and the line that leads to it."""
    best, least = None, math.inf
    for gap in GAPS:
        if gap >= least:
            break
        for turn in TURNS:
            way = np.array([math.cos(math.pi * turn), math.sin(math.pi * turn)]).round(6)
            low = at + way * (size / 2 + gap * unit) - size / 2
            box = Bbox([low, low + size])
            lead = Path([at, np.clip(at, box.min, box.max)])
            cost = gap
            for more in _costs(box, lead, room, own, *taken):
                cost += more
                if cost >= least:
                    break
            else:
                best, least = (box, lead), cost
    return best


def _costs(box, lead, room, own, blocks, lines, leads) -> Iterator[float]:
    """Yield what a place costs beyond its distance, what is quick to tell and weighs most first."""
    yield HIDDEN * (Bbox.union([box, room]).bounds != room.bounds)
    yield HIDDEN * box.padded(own.width / 3, 0).count_overlaps(blocks)
    yield HIDDEN * sum(line.intersects_bbox(box) for line in leads)
    yield HIDDEN * sum(lead.intersects_bbox(block) for block in blocks if block is not own)
    yield OVER * sum(width * line.intersects_bbox(box, filled=False) for line, width in lines)
    yield ACROSS * sum(lead.intersects_path(line, filled=False) for line in [*(line for line, _ in lines), *leads])
