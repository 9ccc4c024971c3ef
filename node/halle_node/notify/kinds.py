"""The kinds of notice, once: whom they concern, where they lead, and how they are told unless the owner says else.

`how` is mail (at once), digest (once a day) or app (in the pages only). `page` is below the language, `{subject}` its
order, conversation, product, certificate or cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

How = Literal["mail", "digest", "app", "off"]
Side = Literal["shop", "buyer", "node"]
HOWS: tuple[How, ...] = ("mail", "digest", "app", "off")

_SALE, _BUY = "/admin/orders/{subject}", "/market/orders/{subject}"


@dataclass(frozen=True)
class Kind:
    """One kind of notice."""

    side: Side
    page: str
    how: How = "mail"


KINDS: dict[str, Kind] = {
    "order-to-pack": Kind("shop", _SALE),
    "order-to-answer": Kind("shop", _SALE),
    "question": Kind("shop", "/admin/messages/{subject}"),
    "return-asked": Kind("shop", _SALE),
    "sale-disputed": Kind("shop", _SALE),
    "warranty-claim": Kind("shop", "/admin/roles#{subject}"),
    "cover-asked": Kind("shop", "/admin/roles#{subject}"),
    "sale-deadline": Kind("shop", _SALE),
    "low-stock": Kind("shop", "/admin/products/{subject}", "digest"),
    "case-to-rule": Kind("shop", "/admin/roles/cases/{subject}"),
    "quote-ready": Kind("buyer", _BUY),
    "order-declined": Kind("buyer", _BUY),
    "order-shipped": Kind("buyer", _BUY),
    "order-delivered": Kind("buyer", _BUY),
    "answer": Kind("buyer", "/market/messages/{subject}"),
    "return-answered": Kind("buyer", _BUY),
    "refund": Kind("buyer", _BUY),
    "cover-answered": Kind("buyer", _BUY),
    "claim-answered": Kind("buyer", "/market/certificates#{subject}"),
    "purchase-disputed": Kind("buyer", _BUY),
    "purchase-deadline": Kind("buyer", _BUY),
    "chain-trouble": Kind("node", "/admin/network"),
    "network-trouble": Kind("node", "/admin/network"),
    "mail-trouble": Kind("node", "/admin/settings#notify", "app"),
}
