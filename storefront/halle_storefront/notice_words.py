"""The words of notices: in the pages with names, in a mail without.

A mail is a postcard: whoever carries it reads it. It names no customer, product, amount or address.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from halle_node.notify.kinds import KINDS
from halle_node.notify.notices import Notice

from .i18n import N_, show_time


@dataclass(frozen=True)
class Wording:
    """How one kind is told: the setting's name, the line in the pages, the line of a mail. tone as in `words.Badge`."""

    icon: str
    tone: str
    name: str
    page: str
    mail: str


WORDINGS = {
    "order-to-pack": Wording(
        "box", "wait", N_("An order to pack"), N_("To pack: %(what)s for %(who)s"), N_("There is an order to pack.")
    ),
    "order-to-answer": Wording(
        "chat",
        "wait",
        N_("An order that waits for your answer"),
        N_("Waits for your answer: %(what)s for %(who)s"),
        N_("An order waits for your answer."),
    ),
    "question": Wording(
        "chat",
        "calm",
        N_("A message from a customer"),
        N_("New message from %(who)s"),
        N_("A customer has written to you."),
    ),
    "return-asked": Wording(
        "undo",
        "wait",
        N_("A return"),
        N_("%(who)s wants to send something back: %(what)s"),
        N_("A customer wants to send something back."),
    ),
    "sale-disputed": Wording(
        "scale",
        "bad",
        N_("A dispute about a sale"),
        N_("The arbiter was asked about %(what)s for %(who)s"),
        N_("The arbiter was asked about one of your sales."),
    ),
    "warranty-claim": Wording(
        "shield",
        "wait",
        N_("A warranty claim"),
        N_("Warranty claim: %(what)s"),
        N_("Somebody claims on one of your warranties."),
    ),
    "cover-asked": Wording(
        "shield",
        "wait",
        N_("A request for cover that waits for you"),
        N_("Somebody asks you to insure: %(what)s"),
        N_("Somebody asks you to insure something."),
    ),
    "sale-deadline": Wording(
        "clock",
        "wait",
        N_("A deadline of yours within a day"),
        N_("Act before %(until)s: %(what)s for %(who)s"),
        N_("The time for one of your orders ends within a day."),
    ),
    "low-stock": Wording(
        "warning",
        "wait",
        N_("A product running low"),
        N_("Running low: %(subject)s, %(left)s left"),
        N_("A product is running low."),
    ),
    "case-to-rule": Wording(
        "scale", "wait", N_("A case to rule"), N_("A case to rule: %(what)s"), N_("A case waits for your ruling.")
    ),
    "quote-ready": Wording(
        "info",
        "calm",
        N_("A quote you asked for"),
        N_("The quote is here: %(what)s from %(who)s"),
        N_("A quote that you asked for is here."),
    ),
    "order-declined": Wording(
        "cross",
        "plain",
        N_("A shop declined"),
        N_("Declined by %(who)s: %(what)s"),
        N_("A shop declined your order."),
    ),
    "order-shipped": Wording(
        "truck",
        "calm",
        N_("A parcel on its way"),
        N_("On its way: %(what)s from %(who)s"),
        N_("Something you bought is on its way."),
    ),
    "order-delivered": Wording(
        "check",
        "ok",
        N_("A delivery"),
        N_("Delivered: %(what)s from %(who)s"),
        N_("Something you bought was delivered."),
    ),
    "answer": Wording(
        "chat",
        "calm",
        N_("A message from a shop"),
        N_("New message from %(who)s"),
        N_("A shop has written to you."),
    ),
    "return-answered": Wording(
        "undo",
        "calm",
        N_("An answer about a return"),
        N_("%(who)s answered your return: %(what)s"),
        N_("A shop has answered your return."),
    ),
    "refund": Wording(
        "coin", "ok", N_("A refund"), N_("Money came back: %(what)s from %(who)s"), N_("Money came back to you.")
    ),
    "cover-answered": Wording(
        "shield",
        "calm",
        N_("An answer about insurance"),
        N_("%(who)s answered about insuring %(what)s"),
        N_("An underwriter has answered you."),
    ),
    "claim-answered": Wording(
        "shield",
        "calm",
        N_("An answer to a warranty claim"),
        N_("Your warranty claim was answered: %(what)s"),
        N_("One of your warranty claims was answered."),
    ),
    "purchase-disputed": Wording(
        "scale",
        "bad",
        N_("A dispute about a purchase"),
        N_("The arbiter was asked about %(what)s from %(who)s"),
        N_("The arbiter was asked about one of your purchases."),
    ),
    "purchase-deadline": Wording(
        "clock",
        "wait",
        N_("The last day to object"),
        N_("Look at it before %(until)s: %(what)s from %(who)s"),
        N_("Your time to look at something you bought ends within a day."),
    ),
    "chain-trouble": Wording(
        "warning",
        "bad",
        N_("The chain cannot be reached"),
        N_("The chain has been silent for a while; payments wait."),
        N_("Your node cannot reach the chain; payments wait."),
    ),
    "network-trouble": Wording(
        "warning",
        "bad",
        N_("The network is lost"),
        N_("Your node has been without peers for a while; nobody hears of your shop."),
        N_("Your node has lost its peers."),
    ),
    "mail-trouble": Wording(
        "warning",
        "bad",
        N_("Mail does not go out"),
        N_("Mail does not go out (%(code)s). It is tried again by itself."),
        N_("Mail does not go out."),
    ),
}
HOW_WORDS = {
    "mail": N_("mail at once"),
    "digest": N_("in the daily mail"),
    "app": N_("only here"),
    "off": N_("not at all"),
}
SECURITY_WORDS = {
    "starttls": N_("STARTTLS (usually port 587)"),
    "tls": N_("TLS (usually port 465)"),
    "none": N_("None (only to a server on this machine, or without a password)"),
}
SIDES = {"shop": N_("Your shop"), "buyer": N_("Your purchases"), "node": N_("Your node")}
UNKNOWN = Wording("info", "plain", "", "", N_("Something happened."))


def wording(kind: str) -> Wording:
    """How a kind is told; one of another version by its name."""
    return WORDINGS.get(kind, UNKNOWN)


def told(notice: Notice, say: Callable[[str], str], lang: str) -> str:
    """One line of the list, in the reader's language."""
    values: defaultdict[str, str] = defaultdict(str, notice.params)
    values["subject"] = notice.subject
    values["who"] = values["who"] or values["name"] or say(N_("somebody"))
    values["what"] = values["what"] or notice.subject[:8]
    if values["until"].isdigit():
        values["until"] = show_time(int(values["until"]), lang)
    return say(wording(notice.kind).page or notice.kind) % values


def page_of(notice: Notice) -> str:
    """Where a notice leads, below the language."""
    kind = KINDS.get(notice.kind)
    return kind.page.format(subject=notice.subject) if kind else "/admin/notices"
