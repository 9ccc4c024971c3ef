"""The mail settings as a form, and back."""

from __future__ import annotations

from typing import Any

from halle_node.notify import KINDS, MailSettings
from halle_node.notify.kinds import HOWS, How
from halle_node.notify.settings import SECURITIES

from ..forms import Form
from ..node_access import ServedNode
from ..notice_words import HOW_WORDS, SECURITY_WORDS, SIDES, WORDINGS


def mail_context(node: ServedNode) -> dict[str, Any]:
    """What the settings page shows of mail."""
    wanted = node.notify.mail()
    kinds = [
        (
            SIDES[side],
            [
                (name, WORDINGS[name].name, wanted.settings.how(name))
                for name, kind in KINDS.items()
                if kind.side == side
            ],
        )
        for side in SIDES
    ]
    return {
        "mail": wanted,
        "kinds": kinds,
        "hows": [(how, HOW_WORDS[how]) for how in HOWS],
        "securities": [(each, SECURITY_WORDS[each]) for each in SECURITIES],
    }


def read_mail(form: Form) -> MailSettings:
    """The settings that were typed; the notify room checks them."""
    kinds: dict[str, How] = {
        name: how for name in KINDS for how in HOWS if form.text(f"kind_{name}") == how and how != KINDS[name].how
    }
    return MailSettings(
        enabled=form.ticked("enabled"),
        to=form.text("to"),
        sender=form.text("sender") or form.text("to"),
        host=form.text("host"),
        port=form.whole("port", 0),
        security=form.text("security", "starttls"),  # type: ignore[arg-type]  # checked where it is kept
        user=form.text("user"),
        ca_file=form.text("ca_file"),
        language=form.text("mail_language", "en"),
        digest_hour=form.whole("digest_hour", 8),
        kinds=kinds,
    )
