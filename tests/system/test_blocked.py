"""A store that the merchant blocked: it orders nothing new, finishes what it has ordered, and can be taken back."""

from __future__ import annotations

import pytest

from halle_cli.demo.trading import is_settled, is_shipped
from system.hall import Hall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_blocked_store_finishes_its_order_and_begins_no_other_until_it_is_taken_back(hall: Hall) -> None:
    begun = hall.quoted()
    buyer = hall.buyer.api.get("/node")["store"]
    hall.merchant.api.post("/access/block", {"subject": buyer})

    refused = hall.ask()
    refused.reaches(hall.buyer, "the buyer reads why", lambda order: order["problem"] == "sender-blocked")
    assert refused.at(hall.merchant) is None

    begun.move(hall.buyer, "approve")
    begun.move(hall.merchant, "ship", tracking="6A1")
    begun.reaches(hall.buyer, "the shipment is known", is_shipped)
    begun.move(hall.buyer, "release")
    begun.reaches(hall.merchant, "the merchant is paid", is_settled)

    hall.merchant.api.delete(f"/access/block?subject={buyer}")
    hall.quoted()
