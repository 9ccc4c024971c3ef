"""Texts from spreadsheets and other shops: HTML in, plain text with a Markdown subset out, and back.

Rule: nothing of the HTML survives but its words, paragraphs, lists, bold and italics; links, pictures, styles and
scripts are gone. `plain_text(html_of(text)) == text` for every tidy text, so an export can be imported again.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import nh3

from halle_protocol.documents.text import clean_text

KEPT_TAGS = {
    "p",
    "br",
    "ul",
    "ol",
    "li",
    "b",
    "strong",
    "i",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "div",
    "tr",
}
DROPPED_WITH_CONTENT = {"script", "style", "iframe", "object", "template", "noscript", "title", "svg", "math"}
_BLOCKS = {"p", "div", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr"}
_LOOKS_LIKE_HTML = re.compile(r"<[a-zA-Z/!][^>]*>|&(#\d+|#x[0-9a-fA-F]+|[a-zA-Z]{2,12});")


def tidy(text: str) -> str:
    """Text with single spaces, at most one blank line in a row, and no characters that deceive the eye."""
    lines = [" ".join(line.split()) for line in clean_text(text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def tidy_line(text: str) -> str:
    """The same on one line."""
    return clean_text(text, multiline=False)


def plain_text(source: str) -> str:
    """What an HTML (or plain) description says, as text with a Markdown subset."""
    if not _LOOKS_LIKE_HTML.search(source):
        return tidy(source)
    cleaned = nh3.clean(
        source, tags=KEPT_TAGS, attributes={}, clean_content_tags=DROPPED_WITH_CONTENT, strip_comments=True
    )
    reader = _Reader()
    reader.feed(cleaned)
    reader.close()
    return tidy("".join(reader.parts))


def html_of(text: str) -> str:
    """A tidy text as the paragraphs and line breaks every shop program reads."""
    paragraphs = text.split("\n\n") if text else []
    return "".join("<p>" + html.escape(one, quote=False).replace("\n", "<br>") + "</p>" for one in paragraphs)


class _Reader(HTMLParser):
    """Collect text; every piece of white space in HTML is one blank, only tags break lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag in ("b", "strong"):
            self.parts.append("**")
        elif tag in ("i", "em"):
            self.parts.append("*")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag in ("b", "strong"):
            self.parts.append("**")
        elif tag in ("i", "em"):
            self.parts.append("*")

    def handle_data(self, data: str) -> None:
        self.parts.append(re.sub(r"\s+", " ", data))
