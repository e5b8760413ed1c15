"""HTML in small pieces: escaping, tables, links. Arguments named `*_html` are HTML already."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_NUMBER = r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?"
_UNBROKEN = re.compile(rf"{_NUMBER} ± {_NUMBER}|\d[\d.]*e[-+]\d+")


def escape(text: object) -> str:
    """Text that a browser shows as it is, in content and in quoted attributes."""
    return html.escape(str(text), quote=True)


def prose(text: str) -> str:
    """Escaped text whose rates (2.6e-04) and values with their error are not broken apart."""
    return _UNBROKEN.sub(r'<span class="nowrap">\g<0></span>', escape(text))


def js_safe(json_text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return json_text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def link(text: str, where: str) -> str:
    """A link where `where` is a web address; text beside it where it is not."""
    try:
        usable = urlsplit(where).scheme in ("http", "https")
    except ValueError:
        usable = False
    if usable:
        return f'<a href="{escape(where)}" rel="noopener noreferrer">{escape(text)}</a>'
    return f"{escape(text)} ({escape(where)})" if where else escape(text)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its HTML, the class of its column, and whether it heads its row."""

    content_html: str
    kind: str = ""
    head: bool = False


def table(
    names: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: str, stack: bool = False
) -> str:
    """A table with headers.

    Roles are spelled out, because a table that a narrow screen shows as blocks loses them.

    Args:
        names: Column headers.
        rows: Cells, as many as there are names.
        caption: What the table shows.
        stack: Whether rows become blocks on a narrow screen.
    """
    body = []
    kinds: list[str] = [""] * len(names)
    for row in rows:
        kinds = [cell.kind for cell in row]
        body.append(
            '<tr role="row">'
            + "".join(_cell(cell, name) for cell, name in zip(row, names, strict=True))
            + "</tr>"
        )
    heads = "".join(
        f'<th role="columnheader" scope="col"{_class("num" if "num" in kind else "")}>'
        f"{escape(name)}</th>"
        for name, kind in zip(names, kinds, strict=True)
    )
    return (
        f'<div class="scroll"><table role="table"{_class("stack" if stack else "")}>'
        f"<caption>{escape(caption)}</caption>"
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(body)}</tbody></table></div>'
    )


def pairs(rows: Iterable[tuple[str, str]], *, caption: str) -> str:
    """A table of names and values; both are text."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table class="pairs"><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>'


def _cell(cell: Cell, name: str) -> str:
    if cell.head:
        return f'<th role="rowheader" scope="row"{_class(cell.kind)}>{cell.content_html}</th>'
    return f'<td role="cell"{_class(cell.kind)} data-name="{escape(name)}">{cell.content_html}</td>'


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""
