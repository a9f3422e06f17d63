"""The charts of a report, as SVG for a page: text is text, and colors are variables of its style sheet.

matplotlib draws them. Each chart is drawn for a desktop and for a phone, because an SVG that is scaled down has tiny text.
"""

# matplotlib's types are partial:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET  # what is parsed is drawn here

import attrs
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["Series", "bar_chart"]

FONT_SIZE: Final = 12

SIZES: Final = {"wide": (1040, 250), "narrow": (350, 220)}
"""Width and height of a chart in CSS pixels, by the class of its SVG."""

LABEL_WIDTHS: Final = {"wide": 52, "narrow": 46}
"""Pixels that a label below a bar takes."""

VARIABLES: Final = ("completed", "overdue", "planned", "other", "ink", "muted", "rule")
"""Variables of the style sheet that are colors."""

PLACEHOLDERS: Final = {name: f"#0000{number:02x}" for number, name in enumerate(VARIABLES, start=1)}
"""The colors that matplotlib is given. Each is replaced with its variable."""

VARIABLE_OF: Final = {color: f"var(--{name})" for name, color in PLACEHOLDERS.items()}


@attrs.frozen
class Series:
    """Values of a chart, one for each of its bars, and the variable of their color."""

    color: str
    values: Sequence[int]


def bar_chart(labels: Sequence[str], series: Sequence[Series]) -> Mapping[str, str]:
    """Return a stacked bar chart as SVG, by size. The sum of each bar is written above it if there is room."""
    return {size: _draw(size, labels, series) for size in SIZES}


def _draw(size: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    width, height = SIZES[size]
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": size,
        "font.size": FONT_SIZE,
        "path.simplify": False,
    }
    with rc_context(style):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        axes = figure.add_axes((30 / width, 42 / height, 1 - 34 / width, 1 - 62 / height))
        _draw_bars(axes, series)
        _label_bars(axes, labels, series, bar_width=(width - 34) / max(1, len(labels)), label_width=LABEL_WIDTHS[size])
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", transparent=True)
    return _as_part_of_a_page(drawn.getvalue(), size)


def _draw_bars(axes: Axes, series: Sequence[Series]) -> None:
    bottoms = [0] * len(series[0].values)
    for each in series:
        axes.bar(range(len(bottoms)), each.values, 0.68, bottom=bottoms, color=PLACEHOLDERS[each.color], clip_on=False)
        bottoms = [bottom + value for bottom, value in zip(bottoms, each.values, strict=True)]
    axes.set_ylim(0, max(*bottoms, 1) * 1.02)
    axes.set_xlim(-0.5, len(bottoms) - 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.grid(visible=True, color=PLACEHOLDERS["rule"], linewidth=1, clip_on=False)
    axes.set_axisbelow(True)
    axes.tick_params(bottom=False, left=False, labelcolor=PLACEHOLDERS["muted"], pad=6)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PLACEHOLDERS["muted"])


def _label_bars(
    axes: Axes, labels: Sequence[str], series: Sequence[Series], *, bar_width: float, label_width: float
) -> None:
    step = max(1, -(-label_width // bar_width))
    shown = range(0, len(labels), int(step))
    axes.set_xticks(list(shown), [labels[index] for index in shown])
    for index, total in enumerate(map(sum, zip(*(each.values for each in series), strict=True))):
        if total and bar_width >= FONT_SIZE * 0.6 * (len(f"{total:,}") + 1):
            axes.annotate(
                f"{total:,}", (index, total), (0, 4), textcoords="offset points", ha="center",
                color=PLACEHOLDERS["ink"], annotation_clip=False,
            )  # fmt: skip


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
