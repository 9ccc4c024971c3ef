"""What an offer of cover must be, and what an underwriter's published terms allow. Pure but for where our chain is."""

from __future__ import annotations

from typing import Any

from halle_node.trade.covers import Cover
from halle_node.trade.room import Room
from halle_protocol.cover import item_hash, offer_signer, premium_of
from halle_protocol.documents import Service
from halle_protocol.errors import Refused
from halle_protocol.messages import CoverOffer

ROLE = "underwriter"
DAY_S = 86_400


def check_offer(room: Room, cover: Cover, offer: CoverOffer, now: int) -> None:
    """Pass when an offer is what was asked for, on the terms that were read, and would count on our chain.

    Raises: Refused wrong-chain, offer-mismatch (naming what differs), offer-expired; RemoteProtocolError bad-signature.
    """
    request, paper, document = cover.request, offer.certificate, cover.document
    ours = (room.chain.client.chain_id, room.chain.contracts.warranty)
    if (offer.chain_id, offer.contract) != ours:
        raise Refused("The offer is for another chain or contract.", code="wrong-chain")
    length = paper.ends_at - paper.starts_at
    same: dict[str, Any] = {
        "underwriter": cover.other,
        "holder": room.me,
        "token": request.terms.token,
        "arbiter": request.terms.arbiter,
        "arbiter_within": request.terms.arbiter_within,
        "respond_within": request.respond_within,
        "order_id": cover.order_id,
        "item_hash": item_hash(document, request.line),
        "serial_hash": bytes(32),
        "terms_hash": request.policy.digest,
    }
    wrong = [name for name, value in same.items() if getattr(paper, name) != value]
    wrong += [] if 0 < paper.cover <= request.cover else ["cover"]
    wrong += [] if 0 < paper.premium <= premium_of(int(paper.cover), request.fee_bps) else ["premium"]
    wrong += [] if 0 < length <= request.days * DAY_S and paper.starts_at <= offer.deadline else ["term"]
    if wrong:
        raise Refused(
            f"The offer is not what was asked for: {', '.join(wrong)}.",
            code="offer-mismatch",
            hint="Offer what was asked, for no more than you publish.",
            changed=tuple(wrong),
        )
    if now > offer.deadline or now > paper.ends_at:
        raise Refused("The offer is over already.", code="offer-expired", hint="Offer again.")
    if offer_signer(paper, offer.deadline, offer.signature, *ours) != paper.underwriter:
        raise Refused("The underwriter did not sign this offer.", code="offer-signature", hint="Sign it again.")


def check_limits(room: Room, service: Service, token: bytes, cover: int, days: int) -> None:
    """Pass when a published offer allows this; one without limits leaves it to a person.

    Raises: Refused token-not-covered, cover-too-large, term-too-long.
    """
    most = limit_of(room, service, token, cover)
    if cover > most:
        raise Refused(f"They cover at most {most}.", code="cover-too-large", hint="Ask for less.")
    if service.max_days and days > service.max_days:
        raise Refused(f"They cover at most {service.max_days} days.", code="term-too-long", hint="Ask for fewer days.")


def limit_of(room: Room, service: Service, token: bytes, unlimited: int) -> int:
    """Return the most a published offer covers in a token; `unlimited` without limits.

    Raises: Refused token-not-covered.
    """
    if not service.limits:
        return unlimited
    here = room.chain.client.chain_id
    found = [int(each.most) for each in service.limits if (each.chain_id, each.token) == (here, token)]
    if not found:
        raise Refused("They do not cover in this token.", code="token-not-covered", hint="Ask another underwriter.")
    return max(found)


def conflict() -> Refused:
    """Return why the arbiter of an order cannot insure it."""
    return Refused(
        "The arbiter of an order cannot insure it.", code="arbiter-is-underwriter", hint="Ask another underwriter."
    )
