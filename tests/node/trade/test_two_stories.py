"""A merchant who says two things: the buyer sees it, keeps both signed, and pays for neither what they did not read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from halle_node.trade import book, disputes
from halle_protocol.errors import HalleError
from halle_protocol.evidence import Evidence, messages_of
from halle_protocol.message_bodies import OrderQuote
from halle_protocol.messages import Message, parse_message
from node.trade.hall import names, settle
from node.trade.test_adversary import Scene, scene

__all__ = ["scene"]


def evidence_of(scene: Scene, key: str) -> list[Message]:
    """Return what an arbiter would read in the buyer's bundle."""
    buyer = scene.buyer
    bundle = buyer.db.read(
        lambda conn: disputes.assemble(buyer.trade._room, conn, book.find(conn, key), "", (), ("all",))
    )
    return messages_of(Evidence.decode(bundle))


def amounts(messages: list[Message]) -> list[int]:
    bodies = [parse_message(message) for message in messages]
    return [body.terms.amount for body in bodies if isinstance(body, OrderQuote)]


async def test_second_quote_with_other_terms_is_shown_kept_and_never_paid(scene: Scene) -> None:
    buyer, key = scene.buyer, scene.quoted
    agreed = scene.terms(key)
    dearer = replace(agreed, amount=agreed.amount * 2)
    with pytest.raises(HalleError) as refused:
        await buyer.messages.receive(scene.quote(terms=dearer), "liar")
    assert refused.value.code == "quote-mismatch"
    order = buyer.trade.order(key)
    assert order.quote is not None
    assert order.quote.mismatch == ("amount",)
    assert "approve" not in names(order)
    assert "contradicted" in [entry.key for entry in order.timeline]
    assert sorted(amounts(evidence_of(scene, key))) == [agreed.amount, dearer.amount]
    # The true quote comes once more: exactly what was agreed is paid, and the lie stays in the evidence.
    await buyer.messages.receive(scene.quote())
    await buyer.trade.approve(key)
    await settle(buyer, scene.shop)
    assert buyer.trade.order(key).balance.total_in == agreed.amount
    assert dearer.amount in amounts(evidence_of(scene, key))


async def test_few_contradictions_are_proof_enough(scene: Scene) -> None:
    agreed = scene.terms(scene.quoted)
    for more in range(1, book.MOST_CONTRADICTIONS + 4):
        with pytest.raises(HalleError):
            await scene.buyer.messages.receive(scene.quote(terms=replace(agreed, amount=agreed.amount + more)), "liar")
    kept = scene.buyer.db.read(lambda conn: book.contradictions(conn, scene.quoted))
    assert len(kept) == book.MOST_CONTRADICTIONS


async def test_quote_and_decline_both_signed_are_both_evidence(scene: Scene) -> None:
    buyer, key = scene.buyer, scene.quoted
    later = scene.said(key, "order/quote").issued + 1
    await buyer.messages.receive(scene.say(scene.shop, "order/decline", {"reason": "No"}, key, issued=later))
    assert buyer.trade.order(key).summary.status == "declined"
    assert "approve" not in names(buyer.trade.order(key))
    assert {"order/quote", "order/decline"} <= {message.type for message in evidence_of(scene, key)}


async def test_split_that_changed_under_the_hand_is_not_signed(scene: Scene) -> None:
    shop, buyer, key = scene.shop, scene.buyer, scene.paid
    held = buyer.trade.order(key).balance.held
    await buyer.messages.receive(scene.split(shop, held))
    [read] = [split for split in buyer.trade.order(key).settlements if split.by == "merchant"]
    later = shop.clock() + 2
    shop.clock = lambda: later  # the second word is the newer one
    await buyer.messages.receive(scene.split(shop, 0))
    with pytest.raises(HalleError) as refused:
        await buyer.trade.act(key, "accept_settlement", buyer_share=read.buyer_share)
    assert refused.value.code == "settlement-changed"
    assert buyer.trade.order(key).balance.held == held
    shares = [each.body["buyer_share"] for each in evidence_of(scene, key) if each.type == "settlement/propose"]
    assert sorted(map(int, shares)) == [0, held]
    await buyer.trade.act(key, "accept_settlement", buyer_share=0)
    await settle(buyer, shop)
    assert buyer.trade.order(key).balance.to_merchant == held
