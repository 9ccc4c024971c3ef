"""The paths of an order between separate node processes: buyer, shop, two arbiters and a carrier, one chain.

One table: each path is the moves of its people in their order, and where the order must stand at the end on both sides.
A move is made as soon as the node offers it, so every path also proves that its next step is offered, and holds.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from halle_cli.demo.actors import NodeProcess, until
from halle_cli.demo.trading import Deal, ask_quote, has_quote, knows, same
from halle_protocol.errors import Refused
from system.calm import assert_calm
from system.hall import ADDRESS, Hall

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(480),
]

DAY_S = 86_400
SETTINGS = {"language": "en", "country": "FR", "currency": "EUR"}
LONG_AGO = 15 * DAY_S
VASE = {"title": "Vase", "handle": "vase", "price": "40.00", "sku": "VASE", "stock": 50, "delivery_proof": "carrier"}
FONT = {"title": "Font", "handle": "font", "price": "9.00", "sku": "FONT", "stock": 50, "kind": "digital"}
COAT = {"title": "Coat", "handle": "coat", "price": "120.00", "sku": "COAT", "stock": 50, "delivery_proof": "code"}


@dataclass
class Town:
    """Everybody, each in a process of their own."""

    hall: Hall
    people: dict[str, NodeProcess]

    def order(self, handle: str, sku: str, pieces: int) -> Deal:
        """Order, with the signed quote back."""
        buyer, address = self.people["buyer"], ADDRESS if handle != "font" else None
        key = ask_quote(buyer, self.hall.store, [(handle, sku, pieces)], name="Noé Martin", address=address)
        return Deal(buyer, self.people["shop"], key)

    def walk(self, deal: Deal, step: tuple[Any, ...]) -> None:
        """Take one step of a path."""
        who, what, form = step
        if who == "time":
            self._pass_time(what)
        elif what == "attest":
            self._attest(deal, **form)
        elif what == "sees":
            deal.reaches(self.people[who], f"{who} sees {form}", lambda order: _sees(order, form))
        else:
            deal.move(self.people[who], what, **{name: self._value(deal, value) for name, value in form.items()})

    def _pass_time(self, seconds: int) -> None:
        now = self.people["buyer"].api.post("/chain/advance", {"seconds": seconds})["time"]

        def everybody_knows() -> bool:
            return all(node.api.get("/node")["chain_time"] >= now for node in self.people.values())

        until("everybody knows the new time", everybody_knows)

    def _value(self, deal: Deal, value: Any) -> Any:
        """Fill in what only this order knows."""
        buyer = self.people["buyer"]
        if value == "CODE":
            return deal.reaches(buyer, "a delivery code", lambda order: order["delivery_code"])["delivery_code"]
        if value == "QUARTER":
            paid = deal.reaches(buyer, "the buyer sees the payment", lambda order: int(order["balance"]["total_in"]))
            return int(paid["balance"]["total_in"]) // 4
        return value

    def _attest(self, deal: Deal, status: str) -> None:
        tracking = f"T-{deal.key[:8]}"
        carrier = self.people["carrier"].api

        def handed_over() -> Any:
            return [each for each in carrier.get("/parcels")["parcels"] if each["tracking"] == tracking]

        [parcel] = until("the carrier has the parcel", handed_over)
        carrier.post(f"/parcels/{parcel['shipment_id']}", {"status": status, "place": "Lyon", "text": "seen"})


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    hall = Hall(folder)
    others = {
        name: NodeProcess(name, folder / name, hall.chain.rpc_url, SETTINGS) for name in ("judge", "second", "carrier")
    }
    try:
        hall.open()
        open_town(hall, others)
        yield Town(hall, {"shop": hall.merchant, "buyer": hall.buyer, **others})
        assert_calm(*folder.glob("*.log"))
    finally:
        for process in others.values():
            process.stop()
        hall.close()
        hall.show_logs()


def open_town(hall: Hall, others: dict[str, NodeProcess]) -> None:
    """Start the others, let them offer their roles, and let the shop name them."""
    addresses = {}
    for name, node in others.items():
        addresses[name] = node.init()["store"]
        node.start(*hall.merchant.found.addrs)
        node.api.post("/wallet/test-money")
        role = "carrier" if name == "carrier" else "arbiter"
        node.api.post(f"/services/{role}", {"terms": f"I am {name}.", "fee_bps": 200, "about": "For you."})
    for product in (VASE, FONT, COAT):
        hall.merchant.api.post("/products", product)
    hall.merchant.api.post("/products/chemise-bleue/stock", {"on_hand": 100})
    hall.merchant.api.post("/products/font/digital", {"licences": ["KEY-1", "KEY-2"], "resends": 1})
    until("the shop knows both arbiters", lambda: len(hall.merchant.api.get("/services/arbiter")["services"]) == 2)
    until("the shop knows the carrier", lambda: hall.merchant.api.get("/services/carrier")["services"])
    named = {"arbiter": addresses["judge"], "backup": addresses["second"], "carrier": addresses["carrier"]}
    hall.merchant.api.post("/parties", named)
    hall.merchant.api.post("/publish")
    for _ in range(3):
        hall.buyer.api.post("/wallet/test-money")

    def sees_terms() -> bool:
        found = hall.buyer.api.get(f"/listings/{hall.store}/chemise-bleue")["store_profile"]
        return bool(found) and same(found["terms"]["arbiter"], addresses["judge"])

    until("the buyer knows the shop's goods", lambda: knows(hall.buyer, hall.store, listings=4))
    until("the buyer knows who decides", sees_terms)
    until("the buyer knows the arbiters", lambda: len(hall.buyer.api.get("/services/arbiter")["services"]) == 2)


def _sees(order: dict[str, Any], wanted: dict[str, Any]) -> bool:
    flat = {**order["summary"], **order}
    return all(flat.get(name) == value for name, value in wanted.items())


def photo() -> str:
    out = io.BytesIO()
    Image.new("RGB", (80, 60), (10, 90, 60)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


PAY = ("buyer", "approve", {})
SHIP = ("shop", "ship", {"carrier": "La Poste", "tracking": "6A1"})
HAND = ("shop", "hand_over", {"code": "CODE"})
TORN = ("buyer", "dispute", {"text": "It is torn", "photos": [photo()]})
DELIVERED = (PAY, SHIP, HAND)
SHIRT = ("chemise-bleue", "CHB", 1)

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
def test_path_ends_where_it_must_on_both_sides(town: Town, name: str) -> None:
    goods, steps, expected = PATHS[name]
    deal = town.order(*goods)
    deal.reaches(town.people["buyer"], "a signed quote comes back", has_quote)
    for who, what, form in steps:
        tracking = form.get("tracking") == "TRACKING"
        town.walk(deal, (who, what, form | {"tracking": f"T-{deal.key[:8]}"} if tracking else form))
    for who in ("buyer", "shop"):
        order = deal.reaches(town.people[who], f"{who} agrees on {expected}", lambda o: _sees(o, expected))
        balance = order["balance"]
        parts = ("to_buyer", "to_merchant", "to_arbiter", "held")
        assert int(balance["total_in"]) == sum(int(balance[part]) for part in parts)


def test_arbiter_sees_checked_evidence_of_both_sides_and_opens_its_photo(town: Town) -> None:
    deal = town.order(*SHIRT)
    for step in (PAY, SHIP, HAND, TORN):
        town.walk(deal, step)
    judge = town.people["judge"]
    deal.at(town.people["buyer"])
    case = deal.reaches(judge, "both bundles are here", lambda order: len(order["bundles"]) == 2)
    mine = next(bundle for bundle in case["bundles"] if bundle["by"] == "buyer")
    assert mine["text"] == "It is torn"
    assert all(mine["findings"].values())
    file = judge.api.get(f"/orders/{case['summary']['order_key']}/files/{mine['photos'][0]['file_id']}")
    assert Image.open(io.BytesIO(base64.b64decode(file["content"]))).size == (80, 60)
    town.walk(deal, ("judge", "rule", {"buyer_bps": 0, "text": "No"}))
    deal.reaches(town.people["shop"], "it is ruled", lambda order: _sees(order, {"outcome": "ruled"}))
    record = next(each["record"] for each in judge.api.get("/services/arbiter")["services"] if each["name"] == "judge")
    assert record["ruled"] >= 1


def test_licence_key_is_handed_over_at_funding_and_sent_again_once(town: Town) -> None:
    deal = town.order("font", "FONT", 1)
    town.walk(deal, PAY)
    order = deal.reaches(town.people["buyer"], "the key is here", lambda order: order["deliverables"])
    assert order["deliverables"][0]["text"] == "KEY-1"
    town.walk(deal, ("buyer", "ask_deliverable", {}))
    deal.reaches(town.people["buyer"], "it came again", lambda order: order["deliverables"][0]["left"] == 0)
    deal.reaches(town.people["shop"], "the chain heard of it", lambda order: _sees(order, {"status": "shipped"}))


def test_rules_of_the_owner_hold_orders_back(town: Town) -> None:
    shop = town.people["shop"]
    shop.api.post("/accept-rules", {"max_total_minor": 1_000})
    deal = town.order(*SHIRT)
    deal.reaches(
        shop, "it waits for the owner", lambda order: _sees(order, {"status": "requested", "problem": "rule-value"})
    )
    shop.api.post("/accept-rules", {"max_total_minor": None})
    deal.reaches(town.people["buyer"], "the node takes it when it may", has_quote)


def test_certificate_is_passed_on_and_claimed_by_its_next_owner(town: Town) -> None:
    shop, owner = town.people["shop"], town.people["carrier"]
    deal = town.order(*SHIRT)
    steps = (*DELIVERED, ("buyer", "release", {}), ("shop", "issue_warranty", {"days": 30}))
    for step in (*steps, ("buyer", "transfer_warranty", {"to": owner.api.get("/node")["store"]})):
        town.walk(deal, step)
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
        town.people["buyer"].api.post(f"/certificates/{card['name']}/open_warranty_claim", {"text": "mine"})
