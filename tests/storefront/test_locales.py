"""Every sentence speaks French, and no catalogue keeps a sentence nobody says."""

from __future__ import annotations

import re

import pytest
from babel.messages.pofile import read_po

from halle_storefront import i18n

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def catalogue(lang: str):
    with i18n.catalogue_path(lang).open("rb") as file:
        return read_po(file, locale=lang)


@pytest.mark.parametrize("lang", i18n.LANGUAGES)
def test_catalogue_holds_exactly_the_messages_of_the_code(lang: str) -> None:
    said = {message.id for message in i18n.extract() if message.id}
    kept = {message.id for message in catalogue(lang) if message.id}
    assert said - kept == set(), "run: python -m halle_storefront.i18n"
    assert kept - said == set(), "run: python -m halle_storefront.i18n"


def test_every_message_has_a_french_translation() -> None:
    for message in catalogue("fr"):
        if message.id:
            texts = [message.string] if isinstance(message.string, str) else list(message.string)
            assert texts, message.id
            assert all(texts), message.id
            assert not message.fuzzy, message.id


def test_french_keeps_every_placeholder() -> None:
    for message in catalogue("fr"):
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        for text in texts if message.id else ():
            assert set(PLACEHOLDER.findall(text)) <= set(PLACEHOLDER.findall(ids[-1])), message.id


def test_french_apostrophes_are_round() -> None:
    for message in catalogue("fr"):
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        for text in texts if message.id else ():
            assert not re.search(r"\w'\w", text), f"write ’ in: {text}"


def test_language_follows_cookie_then_browser_then_english() -> None:
    from aiohttp.test_utils import make_mocked_request

    def ask(**headers: str) -> str:
        return i18n.choose_language(make_mocked_request("GET", "/", headers=headers))

    assert ask() == "en"
    assert ask(**{"Accept-Language": "fr-BE,fr;q=0.9,en;q=0.5"}) == "fr"
    assert ask(**{"Accept-Language": "de, ja"}) == "en"
    assert ask(Cookie="halle_lang=en", **{"Accept-Language": "fr"}) == "en"


def test_money_reads_as_people_write_it() -> None:
    assert i18n.show_money(1250, "EUR", 2, "en") == "€12.50"
    assert i18n.show_money(1250, "EUR", 2, "fr") == "12,50\xa0€"
    assert i18n.show_money(500, "JPY", 0, "en") == "¥500"
    assert i18n.show_token(95_900_000, 6, "USDC", "en") == "95.90 USDC"


def test_sizes_read_as_people_write_them() -> None:
    assert i18n.show_size(900, "fr") == "900\xa0o"
    assert i18n.show_size(176_530, "fr") == "176,5\xa0ko"
    assert i18n.show_size(84_200_000, "en") == "84.2\xa0MB"
    assert i18n.show_size(12_000_000_000_000, "en") == "12,000.0\xa0GB"


@pytest.mark.parametrize(
    ("lang", "said", "shown"),
    [
        ("fr", "1290.50 hEUR", "1\u202f290,50 hEUR"),
        ("en", "1290.50 hEUR", "1,290.50 hEUR"),
        ("fr", "?", "?"),
        ("fr", "", ""),
    ],
)
def test_amounts_in_a_history_are_written_as_the_reader_does(lang: str, said: str, shown: str) -> None:
    told = i18n.show_amounts({"amount": said, "text": "1290.50 hEUR"}, lang)
    assert told == {"amount": shown, "text": "1290.50 hEUR"}
