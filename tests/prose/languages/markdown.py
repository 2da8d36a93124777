"""Prose of Markdown: headings, paragraphs, list items and table cells, without code."""

from __future__ import annotations

from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable("table")


def read(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each block of prose; code becomes `CODE`, a link its text."""
    kind, line = "text", 1
    for token in PARSER.parse(text):
        if token.map:
            line = token.map[0] + 1
        if token.type in {"heading_open", "th_open"}:
            kind = "heading"
        elif token.type in {"paragraph_open", "td_open"}:
            kind = "text"
        elif token.type == "inline":
            yield line, kind, "".join(_plain(child) for child in token.children or [])


def _plain(token: Token) -> str:
    if token.type == "code_inline":
        return "CODE"
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    return token.content if token.type == "text" else ""
