"""The owner's mail: plain text and the same as simple HTML, in their language. It loads nothing and names nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import jinja2

from halle_node.notify.notices import Notice
from halle_node.notify.service import Letter

from .i18n import LANGUAGES, N_, translations
from .notice_words import wording
from .pages import furnish, options

SHOWN_KEY = 8


class MailWriter:
    """Finds the words. One environment a language, made when it is first needed."""

    def __init__(self) -> None:
        self._environments: dict[str, jinja2.Environment] = {}

    def write(self, news: Sequence[Notice], language: str) -> Letter:
        """Return the letter about `news`: one line a kind and subject, the count where there are several."""
        lang = known(language)
        say = translations(lang).gettext
        counted = Counter((wording(each.kind).mail, _mark(each)) for each in news)
        lines = [f"{say(text)}{f' ({mark})' if mark else ''}" for text, mark in counted]
        subject = (
            say(wording(news[0].kind).mail).rstrip(".")
            if len(counted) == 1
            else (say(N_("%(count)s news from your node")) % {"count": len(counted)})
        )
        return self._letter(lang, f"Halle: {subject}", lines)

    def write_test(self, language: str) -> Letter:
        """Return the letter of the test button."""
        lang = known(language)
        say = translations(lang).gettext
        return self._letter(lang, f"Halle: {say(N_('test'))}", [say(N_("Mail from your node arrives."))])

    def _letter(self, lang: str, subject: str, lines: list[str]) -> Letter:
        environment = self._environments.get(lang)
        if environment is None:
            environment = self._environments[lang] = jinja2.Environment(**options())  # noqa: S701 - autoescape is on
            furnish(environment, lang)
        context = {"lines": lines, "subject": subject}
        text = environment.get_template("mail.txt").render(context)
        return Letter(subject, text, environment.get_template("mail.html").render(context))


def known(language: str) -> str:
    """The language itself or its main one, else English."""
    return next((each for each in (language, language.split("-")[0]) if each in LANGUAGES), "en")


def _mark(notice: Notice) -> str:
    """Enough of a key for the owner to know it again; a whole one would open the order's public status page."""
    is_key = len(notice.subject) >= 32 and notice.subject.isalnum()
    return notice.subject[:SHOWN_KEY] if is_key else ""
