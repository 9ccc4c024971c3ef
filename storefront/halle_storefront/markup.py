"""Turn hostile text into inert markup: a small Markdown subset, no attribute and no link survives."""

from __future__ import annotations

import re
from functools import lru_cache

import nh3
import segno
from markupsafe import Markup

TAGS = {"p", "br", "strong", "em", "b", "i", "ul", "ol", "li", "h3", "h4", "blockquote"}
_BOLD = re.compile(r"\*\*(?=\S)([^*\n]+)\*\*")
_ITALIC = re.compile(r"(?<![\w*])[*_](?=\S)([^*_\n]+)[*_](?![\w*])")
_BLANK = re.compile(r"\n\s*\n")
_ITEM = re.compile(r"^\s*[-*•]\s+")
_TITLE = re.compile(r"^#{1,6}\s+")


@lru_cache(maxsize=2048)
def rich_text(text: str) -> Markup:
    """Paragraphs, lists, titles, bold and italic; everything else is text or gone."""
    html = "".join(_block(block.strip("\n")) for block in _BLANK.split(text.replace("\r\n", "\n")) if block.strip())
    # Safe: nh3 keeps the tags above, drops every attribute, and the content of script and style.
    return Markup(nh3.clean(html, tags=TAGS, attributes={}))  # noqa: S704


def _block(block: str) -> str:
    lines = block.split("\n")
    if all(_ITEM.match(line) for line in lines):
        return "<ul>" + "".join(f"<li>{_inline(_ITEM.sub('', line))}</li>" for line in lines) + "</ul>"
    if len(lines) == 1 and _TITLE.match(block):
        return f"<h3>{_inline(_TITLE.sub('', block))}</h3>"
    return f"<p>{'<br>'.join(_inline(line) for line in lines)}</p>"


def _inline(line: str) -> str:
    return _ITALIC.sub(r"<em>\1</em>", _BOLD.sub(r"<strong>\1</strong>", line))


@lru_cache(maxsize=512)
def plain_text(text: str) -> str:
    """The words alone, on one line: for summaries and search engines."""
    spaced = re.sub(r"<(/p|br|/li|/h\d)[^>]*>", " ", text)
    return " ".join(re.sub(r"[*#]+", "", _unescape(nh3.clean(spaced, tags=set()))).split())


def _unescape(text: str) -> str:
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&nbsp;", " "), ("&amp;", "&")):
        text = text.replace(entity, letter)
    return text


@lru_cache(maxsize=512)
def qr(data: str) -> Markup:
    """A QR code as inline SVG, always dark on white (scanners need it in dark mode too)."""
    svg = segno.make(data, error="m", micro=False).svg_inline(
        omitsize=True, svgclass="qr", lineclass=None, dark="#1f1a17", light="#ffffff", border=3
    )
    return Markup(svg)  # noqa: S704  # segno emits only path data computed from the code
