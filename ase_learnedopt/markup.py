"""A table as data, and its two forms: Markdown and HTML. Layer 1."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """Holds one field of a table."""

    text: str
    is_best: bool = False
    is_ours: bool = False


class Table(NamedTuple):
    """Holds a table: the first column names the row, the others are set right."""

    header: tuple[str, ...]
    rows: list[tuple[Entry, ...]]
    notes: tuple[str, ...]  # Markdown, below the table: how to read it, then what made it


def to_markdown(table: Table) -> str:
    """Returns a table in Markdown, the best in bold."""
    lines = [_row(table.header), _row(["---"] + ["---:"] * (len(table.header) - 1))]
    lines += [_row(f"**{_escape(e.text)}**" if e.is_best else _escape(e.text) for e in row) for row in table.rows]
    return "\n".join([*lines, "", *_paragraph(table.notes)]) + "\n"


def to_html(table: Table) -> str:
    """Returns a table in HTML; a row of ours has the class `ours`, the best are strong."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.header)
    body = "\n".join(_html_row(row) for row in table.rows)
    first, *rest = table.notes or ("",)
    made = f"<details><summary>How it was made</summary><p>{'<br>'.join(map(inline_html, rest))}</p></details>"
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>\n'
        f'<div class="notes"><p>{inline_html(first)}</p>{made if rest else ""}</div>\n'
    )


def inline_html(text: str) -> str:
    """Returns HTML for a line of Markdown that has no more than `code` and **strong** in it."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))
    return re.sub(r"\*\*([^*]*)\*\*", r"<strong>\1</strong>", text)


def mark_best(columns: Sequence[Sequence[tuple[str, float | None]]], *, lowest: Sequence[bool]) -> list[list[Entry]]:
    """Returns the entries of columns of (text, value); the best finite values of each are marked, all where they tie.

    A column in which all values are the same, or that has a single one, has no best.
    """
    done = []
    for column, low in zip(columns, lowest, strict=True):
        values = {v for _, v in column if v is not None and abs(v) != float("inf")}
        unsolved = any(v is not None and abs(v) == float("inf") for _, v in column)
        best = (min if low else max)(values) if len(values) + unsolved > 1 and values else None
        done.append([Entry(text, best is not None and value == best) for text, value in column])
    return done


def _html_row(row: Sequence[Entry]) -> str:
    name, *fields = row
    cells = "".join(f"<td>{_strong(entry)}</td>" for entry in fields)
    opening = '<tr class="ours">' if name.is_ours else "<tr>"
    return f'{opening}<th scope="row">{_strong(name)}</th>{cells}</tr>'


def _strong(entry: Entry) -> str:
    text = re.sub(r"( \([^()]*\))$", r"<small>\1</small>", html.escape(entry.text))  # intervals step back
    return f"<strong>{text}</strong>" if entry.is_best else text


def _row(fields: Iterable[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _escape(text: str) -> str:
    return re.sub(r"([|*<])", r"\\\1", " ".join(text.split()))


def _paragraph(notes: Sequence[str]) -> list[str]:
    """Returns the notes as Markdown lines, each on a line of its own when shown."""
    return [f"{note}  " if k + 1 < len(notes) else note for k, note in enumerate(notes)]
