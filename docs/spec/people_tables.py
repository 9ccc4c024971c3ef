"""Fill the tables of docs/spec/05 to 10 from the code: `python docs/spec/people_tables.py`.

A region `<!-- begin NAME -->` … `<!-- end NAME -->` is replaced by the table NAME; a test proves that nothing is stale.
"""

from __future__ import annotations

import re
from pathlib import Path

from halle_protocol import cover, documents, message_bodies, terms
from halle_protocol.documents import listing, pages, profile, shipping
from halle_protocol.documents.shape import Model
from halle_protocol.order_table import ACTIONS, HOW, TRANSITIONS
from halle_protocol.signing import TYPES
from halle_protocol.terms_words import _WORDS
from halle_protocol.warranty import TRANSITIONS as CERTIFICATE_TRANSITIONS

HERE = Path(__file__).parent
PAGES = ("05-identity", "06-documents", "07-head", "08-messages", "09-terms", "10-order")
_REGION = re.compile(r"(<!-- begin ([a-z-]+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def type_text(source: str) -> str:
    """Turn a Python annotation into words."""
    text = re.sub(r"\s+", " ", source)
    text = re.sub(r"Annotated\[tuple\[(\w+), \.\.\.\], Field\((.*?)\)\]", r"list of \1 (\2)", text)
    text = re.sub(r"Annotated\[ ?dict\[(.+?), (.+)\], Field\((.*?)\) ?\]$", r"map \1 → \2 (\3)", text)
    text = re.sub(r"Annotated\[(\w+), (?:Field|StringConstraints)\((.*?)\)\]", r"\1 (\2)", text)
    text = re.sub(r"Literal\[(.*?)\]", r"one of \1", text).replace("strict=True, ", "").replace("strict=True", "")
    text = text.replace("min_length=", "min ").replace("max_length=", "max ").replace("pattern=r", "pattern ")
    return text.replace(" | None", ", optional").replace("|", "\\|").replace('"', "`").replace("()", "").strip()


def default_text(value: object) -> str:
    """Return a default that says something; absent lists, maps and texts say nothing."""
    if isinstance(value, bytes):
        return f"{len(value)} zero bytes"
    return f"`{value}`" if isinstance(value, int | str) and value != "" else ""


def fields_of(model: type[Model]) -> str:
    rows = []
    for name, info in model.model_fields.items():
        needed = "required" if info.is_required() else default_text(info.default)
        rows.append((f"`{name}`", type_text(str(model.__annotations__[name])), needed))
    summary = (model.__doc__ or "").strip().split("\n\n")
    note = " ".join(part.replace("\n", " ") for part in summary)
    return f"**{model.__name__}**: {re.sub(' +', ' ', note)}\n\n" + table(("field", "type", "default"), rows)


def models_in(*modules: object) -> list[type[Model]]:
    """Return the models that a module defines, in its order."""
    found = []
    for module in modules:
        for item in vars(module).values():
            own = isinstance(item, type) and issubclass(item, Model) and item.__module__ == module.__name__  # type: ignore[attr-defined]
            if own:
                found.append(item)
    return found


def _fields(*modules: object) -> str:
    return "\n".join(fields_of(model) for model in models_in(*modules))


def tables() -> dict[str, str]:
    """Return every table by its name."""
    actions = [
        (f"`{r.name}`", ", ".join(r.by), ", ".join(s.name.title() for s in r.statuses), r.when, ", ".join(r.needs))
        for r in ACTIONS
    ]
    return {
        "types": "```\n" + "\n\n".join(TYPES.values()) + "\n```\n",
        "document-types": table(
            ("type", "body"), [(f"`{name}`", model.__name__) for name, model in documents.MODELS.items()]
        ),
        "profile": _fields(profile),
        "listing": _fields(listing),
        "shipping": _fields(shipping),
        "pages": _fields(pages),
        "message-types": table(
            ("type", "body"), [(f"`{name}`", model.__name__) for name, model in message_bodies.BODIES.items()]
        ),
        "message-bodies": _fields(message_bodies),
        "cover": _fields(cover),
        "order-document": _fields(terms),
        "words": table(("sentence", "en", "fr"), [(k, v, _WORDS["fr"][k]) for k, v in _WORDS["en"].items()]),
        "transitions": table(
            ("from", "event", "to"),
            [(t.source.name.title(), f"`{t.event}`", t.target.name.title()) for t in TRANSITIONS],
        ),
        "how": table(("code", "word"), [(str(code), word) for code, word in HOW.items()]),
        "actions": table(("action", "by", "status", "deadline", "needs"), actions),
        "certificate": table(
            ("from", "event", "to"),
            [(a.name.title(), f"`{event}`", b.name.title()) for a, event, b in CERTIFICATE_TRANSITIONS],
        ),
    }


def filled(text: str) -> str:
    """Return a page with its regions replaced."""
    known = tables()
    return _REGION.sub(lambda m: f"{m[1]}\n{known[m[2]]}\n{m[4]}", text)


def main() -> None:
    for page in PAGES:
        path = HERE / f"{page}.md"
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
