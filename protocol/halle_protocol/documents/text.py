"""Text from strangers: refused if it can deceive the eye, otherwise kept byte for byte as data.

HTML in a text is data; the faces escape it. Long texts allow a small Markdown subset that the faces
render themselves.
Spec: docs/spec/06-documents.md §3
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

# C0 without tab and line feed, DEL and C1, line/paragraph separators, bidi embeddings, overrides and
# isolates,
# interlinear anchors, tag characters, the byte order mark, and noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ufeff\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)
_FORBIDDEN_LINE = re.compile(_FORBIDDEN.pattern[:-1] + "\t\n]")
LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?(?:-[a-z0-9]{5,8})*\Z")


def check_text(value: str) -> str:
    """Return `value`, which may have several lines.

    Raises: ValueError on a forbidden character.
    """
    return _check(value, _FORBIDDEN)


def check_line(value: str) -> str:
    """Return `value`, one line.

    Raises: ValueError on a forbidden character, tab or line feed.
    """
    return _check(value, _FORBIDDEN_LINE)


def clean_text(value: str, *, multiline: bool = True) -> str:
    """Return what an author most likely meant: NFC, LF, no forbidden characters, ends trimmed."""
    text = unicodedata.normalize("NFC", value).replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\u2028", "\n").replace("\u2029", "\n\n")
    if not multiline:
        return _FORBIDDEN_LINE.sub("", " ".join(text.split())).strip()
    return _FORBIDDEN.sub("", text).strip()


def _check(value: str, pattern: re.Pattern[str]) -> str:
    found = pattern.search(value)
    if found:
        raise ValueError(f"character U+{ord(found.group()):04X} is not allowed here")
    return value


def _line(max_chars: int, min_chars: int = 0) -> tuple[StringConstraints, AfterValidator]:
    return (
        StringConstraints(strict=True, max_length=max_chars, min_length=min_chars),
        AfterValidator(check_line),
    )


Word = Annotated[str, *_line(40, 1)]
Line = Annotated[str, *_line(120)]
Name = Annotated[str, *_line(120, 1)]
Wide = Annotated[str, *_line(300)]
Url = Annotated[
    str,
    StringConstraints(strict=True, max_length=2048, pattern=r"^(https?://[^\s\"<>\\^`{|}]+)?$"),
    AfterValidator(check_line),
]
Handle = Annotated[str, StringConstraints(strict=True, max_length=120, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Sku = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=120), AfterValidator(check_line)]
Paragraph = Annotated[str, StringConstraints(strict=True, max_length=1000), AfterValidator(check_text)]
Note = Annotated[str, StringConstraints(strict=True, max_length=4000), AfterValidator(check_text)]
