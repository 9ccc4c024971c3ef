"""The market between real processes: publish → discover → buy → settle, with processes that stop and die."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from halle_cli.demo.actors import NodeProcess
from halle_cli.demo.trading import Deal, is_paying, is_settled, is_shipped
from system.calm import assert_calm
from system.hall import Hall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def calm(hall: Hall) -> Iterator[None]:
    """Nothing that a peer, a customer or a killed process does is logged as an error."""
    yield
    assert_calm(hall.merchant.log, hall.buyer.log)


PRICE = 94_000_000  # 89.00 + 5.00 delivery, in a token of 6 decimals


def finish(hall: Hall, deal: Deal) -> None:
    """Ship, hand over, release: from a funded order to a settled one."""
    deal.move(hall.merchant, "ship", carrier="Colissimo", tracking="8R1")
    code = deal.reaches(hall.buyer, "the parcel is announced", is_shipped)["delivery_code"]
    deal.move(hall.merchant, "hand_over", code=code)
    deal.move(hall.buyer, "release")
    deal.reaches(hall.buyer, "the buyer sees it settled", is_settled)
    deal.reaches(hall.merchant, "the merchant sees it settled", is_settled)


def assert_paid_once(hall: Hall, before: int) -> None:
    """The merchant has the price, once; both sheets have one order and balance."""
    assert hall.token_amount(hall.merchant) - before == PRICE
    for node in (hall.buyer, hall.merchant):
        (row,) = hall.balances(node)
        assert row["balance"] == {
            "total_in": PRICE,
            "to_buyer": 0,
            "to_merchant": PRICE,
            "to_arbiter": 0,
            "held": 0,
        }


def test_order_is_bought_and_settled_between_processes(hall: Hall) -> None:
    before = hall.token_amount(hall.merchant)
    deal = hall.quoted()
    order = deal.at(hall.buyer)
    assert order is not None
    assert order["terms_words"]
    deal.move(hall.buyer, "approve")
    deal.reaches(hall.merchant, "the money is in escrow", is_paying("escrowed"))
    assert hall.merchant.api.get("/todo")["to_pack"]
    finish(hall, deal)
    assert_paid_once(hall, before)
    assert hall.merchant.api.get("/products/chemise-bleue")["stock"][0]["on_hand"] == 4


def test_order_is_found_from_the_chain_when_the_merchant_was_offline(hall: Hall) -> None:
    before = hall.token_amount(hall.merchant)
    hall.merchant.stop()
    deal = hall.ask()
    deal.move(hall.buyer, "make_offer")
    deal.reaches(hall.buyer, "the offer is on chain", lambda order: order["balance"]["held"])
    hall.merchant.start()
    deal.reaches(hall.merchant, "the order is found and accepted", is_paying("escrowed"))
    finish(hall, deal)
    assert_paid_once(hall, before)


def test_settlement_splits_the_money_when_both_sign(hall: Hall) -> None:
    buyer_before, merchant_before = hall.token_amount(hall.buyer), hall.token_amount(hall.merchant)
    deal = hall.quoted()
    deal.move(hall.buyer, "approve")
    deal.reaches(hall.merchant, "the money is in escrow", is_paying("escrowed"))
    deal.move(hall.buyer, "propose_settlement", buyer_share=30_000_000)
    deal.move(hall.merchant, "accept_settlement")
    deal.reaches(hall.buyer, "both are paid", is_settled)
    assert hall.token_amount(hall.buyer) == buyer_before - PRICE + 30_000_000
    assert hall.token_amount(hall.merchant) == merchant_before + PRICE - 30_000_000


def kill_chain(hall: Hall) -> None:
    hall.chain.kill()
    hall.chain.start()


def kill_merchant(hall: Hall) -> None:
    restart(hall.merchant)


def kill_buyer(hall: Hall) -> None:
    restart(hall.buyer, *hall.merchant.found.addrs)


def restart(node: NodeProcess, *peers: str) -> None:
    node.kill()
    node.start(*peers)


@pytest.mark.parametrize("kill", [kill_chain, kill_merchant, kill_buyer])
def test_order_survives_when_a_process_is_killed_in_its_middle(hall: Hall, kill: Callable[[Hall], None]) -> None:
    before = hall.token_amount(hall.merchant)
    deal = hall.quoted()
    deal.move(hall.buyer, "approve")
    kill(hall)  # the funding may be stored, signed, sent or mined
    deal.reaches(hall.merchant, "the money is in escrow", is_paying("escrowed"))
    deal.move(hall.merchant, "ship", carrier="Colissimo", tracking="8R1")
    kill(hall)  # so may the shipment
    code = deal.reaches(hall.buyer, "the parcel is announced", is_shipped)["delivery_code"]
    deal.move(hall.merchant, "hand_over", code=code)
    kill(hall)
    deal.move(hall.buyer, "release")
    kill(hall)
    deal.reaches(hall.buyer, "the buyer sees it settled", is_settled)
    deal.reaches(hall.merchant, "the merchant sees it settled", is_settled)
    assert_paid_once(hall, before)
