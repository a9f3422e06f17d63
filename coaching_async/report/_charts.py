"""The charts of a report, as SVG for a page: text is text, and colors are variables of its style sheet.

matplotlib draws them. Each chart is drawn for a desktop and for a phone, because an SVG that is scaled down has tiny text.
"""

# matplotlib's types are partial:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import io
import math
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET  # what is parsed is drawn here

import attrs
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["Series", "bar_chart"]

FONT_SIZE: Final = 12

SIZES: Final = {"wide": (1040, 250), "narrow": (350, 220)}
"""Width and height of a chart in CSS pixels, by the class of its SVG."""

MIN_PLACES: Final = 5
"""Bars that there is room for. Fewer would be as wide as the page."""

DIGIT_WIDTH: Final = 8
"""Pixels that a digit takes, rounded up."""

LABEL_WIDTHS: Final = {"wide": 52, "narrow": 46}
"""Pixels that a label below a bar takes."""

VARIABLES: Final = ("completed", "overdue", "planned", "other", "ink", "muted", "rule")
"""Variables of the style sheet that are colors."""

PLACEHOLDERS: Final = {name: f"#0000{number:02x}" for number, name in enumerate(VARIABLES, start=1)}
"""The colors that matplotlib is given. Each is replaced with its variable."""

VARIABLE_OF: Final = {color: f"var(--{name})" for name, color in PLACEHOLDERS.items()}


SETTINGS_LOCK: Final = threading.Lock()
"""Held while settings of matplotlib are changed, because two threads would restore each other's."""


@attrs.frozen
class Series:
    """Values of a chart, one for each of its bars, and the variable of their color."""

    color: str
    values: Sequence[int]


def bar_chart(labels: Sequence[str], series: Sequence[Series]) -> Mapping[str, str]:
    """Return a stacked bar chart as SVG, by size. The sum of each bar is written above it if there is room for all."""
    return {size: _draw(size, labels, series) for size in SIZES}


def _draw(size: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    width, height = SIZES[size]
    totals = [sum(values) for values in zip(*(each.values for each in series), strict=True)]
    places = max(len(labels), MIN_PLACES)
    left = 12 + DIGIT_WIDTH * len(str(max(totals)))
    # The settings that the application has made for its own figures do not count here. They belong to the process.
    with SETTINGS_LOCK, style.context(["default", {"svg.fonttype": "none", "font.size": FONT_SIZE}]):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        axes = figure.add_axes((left / width, 42 / height, 1 - (left + 4) / width, 1 - 62 / height))
        axes.set_xlim(-0.5, places - 0.5)
        axes.set_ylim(0, max(*totals, 1) * 1.02)
        _draw_bars(axes, series)
        _label_bars(axes, labels, totals, bar_width=(width - left - 4) / places, label_width=LABEL_WIDTHS[size])
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", transparent=True)
    return _as_part_of_a_page(drawn.getvalue(), size)


def _draw_bars(axes: Axes, series: Sequence[Series]) -> None:
    bottoms = [0] * len(series[0].values)
    for each in series:
        axes.bar(range(len(bottoms)), each.values, 0.68, bottom=bottoms, color=PLACEHOLDERS[each.color], clip_on=False)
        bottoms = [bottom + value for bottom, value in zip(bottoms, each.values, strict=True)]
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.grid(visible=True, color=PLACEHOLDERS["rule"], linewidth=1, clip_on=False)
    axes.set_axisbelow(True)
    axes.tick_params(bottom=False, left=False, labelcolor=PLACEHOLDERS["muted"], pad=6)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PLACEHOLDERS["muted"])


def _label_bars(
    axes: Axes, labels: Sequence[str], totals: Sequence[int], *, bar_width: float, label_width: float
) -> None:
    step = math.ceil(label_width / bar_width)
    axes.set_xticks(range(0, len(labels), step), labels[::step])
    if bar_width < DIGIT_WIDTH * (len(f"{max(totals):,}") + 1):
        return
    for place, total in enumerate(totals):
        if total:
            axes.annotate(
                f"{total:,}",
                (place, total),
                (0, 4),
                textcoords="offset points",
                ha="center",
                color=PLACEHOLDERS["ink"],
                annotation_clip=False,
            )


STYLES: Final = re.compile(r"([a-z-]+):\s*([^;]+)")

KEPT: Final = frozenset({"fill", "stroke", "stroke-width", "text-anchor"})
"""Properties that become attributes, because the page's security policy refuses inline styles."""


def _as_part_of_a_page(svg: bytes, size: str) -> str:
    """Return an SVG document as an element of an HTML page, without metadata, namespaces and inline styles."""
    root = ET.fromstring(svg)  # noqa: S314
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        styles: dict[str, str] = dict(STYLES.findall(element.attrib.pop("style", "")))
        if font := re.search(r"(\d+)px", styles.get("font", styles.get("font-size", ""))):
            element.set("font-size", str(font[1]))
        for name in KEPT & styles.keys():
            element.set(name, VARIABLE_OF.get(styles[name], styles[name]))
        element.attrib.pop("id", None)  # two charts of a page would have the same ones
    for parent in root.iter():
        for child in [child for child in parent if child.tag in {"metadata", "defs"}]:
            parent.remove(child)
    width, height = SIZES[size]
    root.attrib.clear()
    root.attrib.update({"class": size, "viewBox": f"0 0 {width} {height}", "aria-hidden": "true"})
    return ET.tostring(root, encoding="unicode")
