"""The paths of an order between separate node processes: buyer, shop, two arbiters and a carrier, one chain.

One table: each path is the moves of its people in their order, and where the order must stand at the end on both sides.
A move is made as soon as the node offers it, so every path also proves that its next step is offered, and holds.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from halle_cli.demo.actors import until
from halle_cli.demo.trading import has_quote
from halle_protocol.errors import Refused
from system.guild import DELIVERED, HAND, PAY, SHIP, SHIRT, Guild, photo, sees

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

DAY_S = 86_400
LONG_AGO = 15 * DAY_S
TORN = ("buyer", "dispute", {"text": "It is torn", "photos": [photo()]})

PATHS: dict[str, tuple[tuple[str, str, int], tuple[tuple[Any, ...], ...], dict[str, Any]]] = {
    "paid, shipped and released": (SHIRT, (PAY, SHIP, ("buyer", "release", {})), {"outcome": "released"}),
    "claimed by silence": (
        SHIRT,
        (PAY, SHIP, ("shop", "sees", {"status": "shipped"}), ("time", 40 * DAY_S, {})),
        {"outcome": "claimed", "payment": "released"},
    ),
    "cancelled before paying": (SHIRT, (("buyer", "cancel", {"reason": "Changed my mind"}),), {"status": "cancelled"}),
    "cancelled after paying, refunded": (
        SHIRT,
        (PAY, ("buyer", "sees", {"status": "accepted"}), ("buyer", "cancel", {}), ("shop", "refund", {})),
        {"outcome": "refunded"},
    ),
    "declined with a reason": (SHIRT, (("shop", "decline", {"reason": "It is promised"}),), {"status": "declined"}),
    "late shop, reclaimed": (
        SHIRT,
        (PAY, ("shop", "sees", {"status": "accepted"}), ("time", 6 * DAY_S, {}), ("buyer", "reclaim", {})),
        {"outcome": "reclaimed", "payment": "refunded"},
    ),
    "partial refund, partial release, rest released": (
        SHIRT,
        (
            PAY,
            SHIP,
            ("shop", "refund", {"amount": "QUARTER"}),
            ("buyer", "sees", {"payment": "partially_refunded"}),
            ("buyer", "release", {"amount": "QUARTER"}),
            ("buyer", "release", {}),
        ),
        {"outcome": "released", "payment": "partially_refunded"},
    ),
    "split proposed, countered and accepted": (
        SHIRT,
        (
            PAY,
            ("buyer", "propose_settlement", {"buyer_share": "QUARTER", "note": "A quarter back"}),
            ("shop", "propose_settlement", {"buyer_share": 1_000, "note": "A little"}),
            ("buyer", "accept_settlement", {}),
        ),
        {"outcome": "settled"},
    ),
    "two parcels": (
        ("chemise-bleue", "CHB", 2),
        (
            PAY,
            ("shop", "ship", {"tracking": "P1", "lines": "CHB:1"}),
            ("buyer", "sees", {"fulfilment": "partially_fulfilled", "status": "accepted"}),
            ("shop", "ship", {"tracking": "P2"}),
            ("buyer", "release", {}),
        ),
        {"outcome": "released", "fulfilment": "fulfilled"},
    ),
    "handed over by code": (
        ("coat", "COAT", 1),
        (*DELIVERED, ("buyer", "sees", {"status": "delivered"}), ("buyer", "release", {})),
        {"outcome": "released"},
    ),
    "proof required and missing": (
        ("coat", "COAT", 1),
        (PAY, SHIP, ("buyer", "sees", {"status": "shipped"}), ("time", 30 * DAY_S, {}), ("buyer", "reclaim", {})),
        {"outcome": "reclaimed", "payment": "refunded"},
    ),
    "failed delivery, sent again, proven by the carrier": (
        ("vase", "VASE", 1),
        (
            PAY,
            ("shop", "ship", {"tracking": "TRACKING"}),
            ("carrier", "attest", {"status": "failed-attempt"}),
            ("shop", "send_again", {"tracking": "T2"}),
            ("time", 60, {}),
            ("carrier", "attest", {"status": "delivered"}),
            ("buyer", "sees", {"status": "delivered"}),
            ("buyer", "release", {}),
        ),
        {"outcome": "released"},
    ),
    "returned and refunded": (
        SHIRT,
        (
            *DELIVERED,
            ("buyer", "request_return", {"reason": "Too small", "photos": [photo()]}),
            ("shop", "approve_return", {"instructions": "12 rue des Arts, you pay"}),
            ("buyer", "send_return", {"tracking": "R1"}),
            ("shop", "receive_return", {"restock": True}),
            ("shop", "refund", {}),
        ),
        {"outcome": "refunded", "returns": "closed"},
    ),
    "exchanged": (
        SHIRT,
        (
            *DELIVERED,
            ("buyer", "request_return", {"reason": "Wrong colour", "exchange": "CHB:1"}),
            ("shop", "approve_return", {"instructions": "Same box"}),
            ("buyer", "send_return", {}),
            ("shop", "receive_return", {}),
            ("shop", "send_again", {"tracking": "EX"}),
            ("buyer", "release", {}),
        ),
        {"outcome": "released", "returns": "closed"},
    ),
    "disputed with evidence and ruled": (
        SHIRT,
        (
            *DELIVERED,
            TORN,
            ("judge", "ask_party", {"party": "both", "text": "When?"}),
            ("shop", "add_evidence", {"text": "It left whole"}),
            ("judge", "rule", {"buyer_bps": 4_000, "text": "Forty percent"}),
        ),
        {"outcome": "ruled", "payment": "partially_refunded"},
    ),
    "silent arbiter, backup rules": (
        SHIRT,
        (
            PAY,
            ("shop", "dispute", {"text": "Threats"}),
            ("judge", "sees", {"status": "disputed"}),
            ("time", LONG_AGO, {}),
            ("buyer", "escalate", {}),
            ("second", "rule", {"buyer_bps": 10_000}),
        ),
        {"outcome": "ruled", "payment": "refunded"},
    ),
    "both arbiters silent, agreed share": (
        SHIRT,
        (
            PAY,
            ("buyer", "dispute", {"text": "Nothing comes"}),
            ("shop", "sees", {"status": "disputed"}),
            ("time", LONG_AGO, {}),
            ("shop", "escalate", {}),
            ("shop", "sees", {"status": "escalated"}),
            ("time", LONG_AGO, {}),
            ("buyer", "close_by_default", {}),
        ),
        {"outcome": "defaulted", "payment": "partially_refunded"},
    ),
    "warranty claim answered with a repair": (
        SHIRT,
        (
            *DELIVERED,
            ("buyer", "release", {}),
            ("shop", "issue_warranty", {"days": 30}),
            ("buyer", "open_warranty_claim", {"text": "The seam"}),
            ("shop", "offer_repair", {"text": "We sew it"}),
            ("buyer", "accept_repair", {}),
            ("buyer", "open_warranty_claim", {"text": "Again"}),
            ("shop", "contest_warranty_claim", {"text": "Washed too hot"}),
            ("judge", "rule_warranty_claim", {"amount": 1_000, "text": "A little"}),
            ("buyer", "surrender_warranty", {}),
        ),
        {"outcome": "released"},
    ),
}


@pytest.mark.parametrize("name", PATHS)
def test_path_ends_where_it_must_on_both_sides(guild: Guild, name: str) -> None:
    goods, steps, expected = PATHS[name]
    deal = guild.order(*goods)
    deal.reaches(guild.people["buyer"], "a signed quote comes back", has_quote)
    for who, what, form in steps:
        tracking = form.get("tracking") == "TRACKING"
        guild.walk(deal, (who, what, form | {"tracking": f"T-{deal.key[:8]}"} if tracking else form))
    for who in ("buyer", "shop"):
        order = deal.reaches(guild.people[who], f"{who} agrees on {expected}", lambda o: sees(o, expected))
        balance = order["balance"]
        parts = ("to_buyer", "to_merchant", "to_arbiter", "held")
        assert int(balance["total_in"]) == sum(int(balance[part]) for part in parts)


def test_arbiter_sees_checked_evidence_of_both_sides_and_opens_its_photo(guild: Guild) -> None:
    deal = guild.order(*SHIRT)
    for step in (PAY, SHIP, HAND, TORN):
        guild.walk(deal, step)
    judge = guild.people["judge"]
    deal.at(guild.people["buyer"])
    case = deal.reaches(judge, "both bundles are here", lambda order: len(order["bundles"]) == 2)
    mine = next(bundle for bundle in case["bundles"] if bundle["by"] == "buyer")
    assert mine["text"] == "It is torn"
    assert all(mine["findings"].values())
    file = judge.api.get(f"/orders/{case['summary']['order_key']}/files/{mine['photos'][0]['file_id']}")
    assert Image.open(io.BytesIO(base64.b64decode(file["content"]))).size == (80, 60)
    guild.walk(deal, ("judge", "rule", {"buyer_bps": 0, "text": "No"}))
    deal.reaches(guild.people["shop"], "it is ruled", lambda order: sees(order, {"outcome": "ruled"}))
    record = next(each["record"] for each in judge.api.get("/services/arbiter")["services"] if each["name"] == "judge")
    assert record["ruled"] >= 1


def test_licence_key_is_handed_over_at_funding_and_sent_again_once(guild: Guild) -> None:
    deal = guild.order("font", "FONT", 1)
    guild.walk(deal, PAY)
    order = deal.reaches(guild.people["buyer"], "the key is here", lambda order: order["deliverables"])
    assert order["deliverables"][0]["text"] == "KEY-1"
    guild.walk(deal, ("buyer", "ask_deliverable", {}))
    deal.reaches(guild.people["buyer"], "it came again", lambda order: order["deliverables"][0]["left"] == 0)
    deal.reaches(guild.people["shop"], "the chain heard of it", lambda order: sees(order, {"status": "shipped"}))


def test_rules_of_the_owner_hold_orders_back(guild: Guild) -> None:
    shop = guild.people["shop"]
    shop.api.post("/accept-rules", {"max_total_minor": 1_000})
    deal = guild.order(*SHIRT)
    deal.reaches(
        shop, "it waits for the owner", lambda order: sees(order, {"status": "requested", "problem": "rule-value"})
    )
    shop.api.post("/accept-rules", {"max_total_minor": None})
    deal.reaches(guild.people["buyer"], "the node takes it when it may", has_quote)


def test_certificate_is_passed_on_and_claimed_by_its_next_owner(guild: Guild) -> None:
    shop, owner = guild.people["shop"], guild.people["carrier"]
    deal = guild.order(*SHIRT)
    steps = (*DELIVERED, ("buyer", "release", {}), ("shop", "issue_warranty", {"days": 30}))
    for step in (*steps, ("buyer", "transfer_warranty", {"to": owner.api.get("/node")["store"]})):
        guild.walk(deal, step)
    [card] = until("the next owner holds it", lambda: owner.api.get("/certificates", role="holder")["certificates"])
    owner.api.post(f"/certificates/{card['name']}/open_warranty_claim", {"amount": 500, "text": "A button"})

    def standing() -> Any:
        found = shop.api.get("/certificates", role="underwriter")["certificates"]
        return [each for each in found if each["name"] == card["name"] and each["status"] == "claimed" and each["said"]]

    until("the shop hears of the claim", standing)
    shop.api.post(f"/certificates/{card['name']}/accept_warranty_claim")
    until(
        "the next owner is paid",
        lambda: [each for each in owner.api.get("/certificates")["certificates"] if each["status"] == "paid"],
    )
    with pytest.raises(Refused):
        guild.people["buyer"].api.post(f"/certificates/{card['name']}/open_warranty_claim", {"text": "mine"})
