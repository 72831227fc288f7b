"""One HTML page that needs nothing but itself: styles and plots are inside, light and dark. Layer 4."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..markup import Table, inline_html, to_html, to_markdown
from ..plot_style import DARK


class Heading(NamedTuple):
    """Opens a part of a report."""

    text: str
    level: int = 2


class Figure(NamedTuple):
    """Holds a plot by its file name, and what it shows in words."""

    file: str
    caption: str


Block = Heading | Figure | Table | str
"""A piece of a report; a string is a paragraph of Markdown."""


def markdown_page(title: str, blocks: Iterable[Block], plots: str) -> str:
    """Returns a report in Markdown; `plots` is the path of the folder of plots as seen from the page."""
    parts = [f"# {title}\n"]
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f"{'#' * block.level} {block.text}\n")
        elif isinstance(block, Figure):
            parts.append(f"![{block.caption}]({plots}/{block.file})\n")
        else:
            parts.append(to_markdown(block) if isinstance(block, Table) else f"{block}\n")
    return "\n".join(parts)


def html_page(title: str, blocks: Sequence[Block], plots: dict[str, str]) -> str:
    """Returns a report as one HTML page; `plots` holds the SVG of each file name."""
    parts, links = [], []
    for number, block in enumerate(blocks):
        if isinstance(block, Heading):
            if block.level == 2:
                links.append(f'<a href="#{_anchor(block.text)}">{html.escape(block.text)}</a>')
            parts.append(f'<h{block.level} id="{_anchor(block.text)}">{html.escape(block.text)}</h{block.level}>')
        elif isinstance(block, Figure):
            parts.append(f"<figure>{_inline_svg(plots[block.file], number, block.caption)}</figure>")
        else:
            parts.append(to_html(block) if isinstance(block, Table) else f"<p>{inline_html(block)}</p>")
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", f"<nav>{' '.join(links)}</nav>", *parts])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_style()}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _inline_svg(svg: str, number: int, caption: str) -> str:
    """Returns an SVG to stand in a page beside others: ids of its own, colours of the page, any width."""
    svg = re.sub(r'\bid="', f'id="f{number}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>f{number}-", svg)
    svg = re.sub("|".join(DARK), lambda match: f"var(--{_name(match[0])})", svg)
    svg = re.sub(r'^<svg width="[^"]*" height="[^"]*"|^<svg height="[^"]*" width="[^"]*"', "<svg", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(caption)}"', 1)


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _name(color: str) -> str:
    return f"c{color[1:]}"


def _style() -> str:
    light = "".join(f" --{_name(color)}: {color};" for color in DARK)
    dark = "".join(f" --{_name(color)}: {other};" for color, other in DARK.items())
    return f":root {{{light} {_LIGHT} }}\n@media (prefers-color-scheme: dark) {{ :root {{{dark} {_DARK} }} }}\n{_CSS}"


_LIGHT = "color-scheme: light dark; --page: #ffffff; --ink: #22262b; --pale: #69717a; --line: #e3e6ea; --tint: #fdf1ea;"
_DARK = "--page: #14171b; --ink: #dfe3e8; --pale: #98a1ab; --line: #2b3138; --tint: #2b211b;"
_CSS = """
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1300px; margin: 0 auto; padding: 2rem 1.25rem 5rem; }
h1 { font-size: 1.8rem; margin: 0 0 0.5rem; }
h2 { font-size: 1.35rem; margin: 3.2rem 0 0.8rem; padding-top: 0.8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.8rem 0 0.5rem; }
p { max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1rem; font-size: 0.92rem; margin: 0 0 1.5rem; }
a { color: #0b6fb8; color: var(--c0b6fb8); text-decoration: none; }
a:hover { text-decoration: underline; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.84rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { color: var(--pale); font-weight: 500; border-bottom: 2px solid var(--line); }
th:first-child { text-align: left; padding-left: 0.4rem; position: sticky; left: 0; background: var(--page); }
tbody th { font-weight: 400; }
td small { color: var(--pale); font-weight: 400; font-size: 0.92em; }
tr.ours td, tr.ours th { background: var(--tint); }
tr.ours th { font-weight: 600; }
.notes { color: var(--pale); font-size: 0.83rem; }
.notes p { max-width: none; margin: 0.5rem 0; }
summary { cursor: pointer; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
figure { margin: 1.4rem 0; max-width: 900px; }
figure svg { display: block; width: 100%; height: auto; }
@media print { main { max-width: none; } nav { display: none; } }
"""
