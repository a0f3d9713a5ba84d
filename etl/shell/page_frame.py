"""What every HTML report stands in: one page, nothing loaded from anywhere, and it prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --bad: #b3261e; --soft: #777; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
code, .value { font-family: ui-monospace, monospace; font-size: .85em; overflow-wrap: anywhere; }
ul { margin: .2rem 0; padding-left: 1.1rem; color: var(--soft); }
.refused { color: var(--bad); font-weight: 600; } .verdict { font-size: 1.1rem; padding: .6rem .9rem;
border-left: .4rem solid #2e7d32; background: #8881; } .verdict.bad { border-color: var(--bad); }
.sample { border: 2px dashed var(--bad); padding: .5rem .9rem; }
td:first-child code, td:nth-child(3).value { overflow-wrap: break-word; }
td:first-child { min-width: 12ch; }
@media print { body { margin: 0; max-width: none; } tr, li { break-inside: avoid; } }
"""


def frame(title: str, verdict: str, is_good: bool, body: Iterable[str]) -> str:
    """The whole document, its verdict first; ``body`` is HTML already, every text of a user in it escaped."""
    bad = "" if is_good else " bad"
    content = "\n".join((f"<h1>{escape(title)}</h1>", f'<p class="verdict{bad}">{escape(verdict)}</p>', *body))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{content}\n</body>\n</html>\n"
    )


def listed(heading: str, items: Iterable[str]) -> Iterator[str]:
    """A heading and its list, nothing where there is no item; items are HTML already."""
    lines = "".join(f"<li>{item}</li>" for item in items)
    if lines:
        yield f"<h2>{escape(heading)}</h2><ul>{lines}</ul>"


def tabled(headings: Iterable[str], rows: Iterable[str]) -> Iterator[str]:
    """A table; its rows are HTML already."""
    yield f"<table><thead><tr>{''.join(f'<th>{escape(heading)}' for heading in headings)}</tr></thead><tbody>"
    yield from rows
    yield "</tbody></table>"
