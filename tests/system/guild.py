"""Everybody who may have to do with an order, each in a process of their own: shop, buyer, two arbiters, a carrier."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from halle_cli.demo.actors import NodeProcess, until
from halle_cli.demo.trading import Deal, ask_quote, knows, same
from system.hall import ADDRESS, Hall

SETTINGS = {"language": "en", "country": "FR", "currency": "EUR"}
OTHERS = ("judge", "second", "carrier")
VASE = {"title": "Vase", "handle": "vase", "price": "40.00", "sku": "VASE", "stock": 50, "delivery_proof": "carrier"}
FONT = {"title": "Font", "handle": "font", "price": "9.00", "sku": "FONT", "stock": 50, "kind": "digital"}
COAT = {"title": "Coat", "handle": "coat", "price": "120.00", "sku": "COAT", "stock": 50, "delivery_proof": "code"}


class Guild:
    """The processes, by name, and what one may ask of them together."""

    def __init__(self, folder: Path) -> None:
        self.hall = Hall(folder)
        url = self.hall.chain.rpc_url
        self.people = {name: NodeProcess(name, folder / name, url, SETTINGS) for name in OTHERS}
        self.people |= {"shop": self.hall.merchant, "buyer": self.hall.buyer}

    def open(self) -> Guild:
        """Start everybody, let them offer their roles, and let the shop name them."""
        shop, buyer, others = self.hall.merchant, self.hall.buyer, {n: self.people[n] for n in OTHERS}
        self.hall.open()
        addresses = {}
        for name, node in others.items():
            addresses[name] = node.init()["store"]
            node.start(*shop.found.addrs)
            node.api.post("/wallet/test-money")
            role = "carrier" if name == "carrier" else "arbiter"
            node.api.post(f"/services/{role}", {"terms": f"I am {name}.", "fee_bps": 200, "about": "For you."})
        for product in (VASE, FONT, COAT):
            shop.api.post("/products", product)
        shop.api.post("/products/chemise-bleue/stock", {"on_hand": 100})
        shop.api.post("/products/font/digital", {"licences": ["KEY-1", "KEY-2"], "resends": 1})
        until("the shop knows both arbiters", lambda: len(shop.api.get("/services/arbiter")["services"]) == 2)
        until("the shop knows the carrier", lambda: shop.api.get("/services/carrier")["services"])
        named = {"arbiter": addresses["judge"], "backup": addresses["second"], "carrier": addresses["carrier"]}
        shop.api.post("/parties", named)
        shop.api.post("/publish")
        for _ in range(3):
            buyer.api.post("/wallet/test-money")

        def sees_terms() -> bool:
            found = buyer.api.get(f"/listings/{self.hall.store}/chemise-bleue")["store_profile"]
            return bool(found) and same(found["terms"]["arbiter"], addresses["judge"])

        until("the buyer knows the shop's goods", lambda: knows(buyer, self.hall.store, listings=4))
        until("the buyer knows who decides", sees_terms)
        until("the buyer knows the arbiters", lambda: len(buyer.api.get("/services/arbiter")["services"]) == 2)
        return self

    def close(self) -> None:
        """End every process."""
        for name in OTHERS:
            self.people[name].stop()
        self.hall.close()

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
            deal.reaches(self.people[who], f"{who} sees {form}", lambda order: sees(order, form))
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


def sees(order: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Return whether an order shows all that is wanted, on its summary or itself."""
    flat = {**order["summary"], **order}
    return all(flat.get(name) == value for name, value in wanted.items())


def photo() -> str:
    """A small picture, as forms carry files."""
    out = io.BytesIO()
    Image.new("RGB", (80, 60), (10, 90, 60)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


PAY = ("buyer", "approve", {})
SHIP = ("shop", "ship", {"carrier": "La Poste", "tracking": "6A1"})
HAND = ("shop", "hand_over", {"code": "CODE"})
DELIVERED = (PAY, SHIP, HAND)
SHIRT = ("chemise-bleue", "CHB", 1)
