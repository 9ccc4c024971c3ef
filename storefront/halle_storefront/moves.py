"""Every move on an order as a form: its words, its fields, its tone. What is legal now is the trade room's to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from halle_node.trade.views import OrderDetail

from .forms import Form, token_units
from .i18n import N_


@dataclass(frozen=True)
class Field:
    """One input of a move. kind: text | area | amount | days | rating."""

    name: str
    label: str
    kind: str = "text"
    required: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Move:
    """How a move is offered. tone: main | plain | danger."""

    title: str
    says: str
    tone: str = "plain"
    fields: tuple[Field, ...] = ()


MOVES = {
    "accept": Move(N_("Accept the order"), N_("You promise to send it in time."), "main"),
    "decline": Move(
        N_("Decline"),
        N_("The buyer is told, and money already paid goes back."),
        "danger",
        (Field("reason", N_("Why (the buyer reads this)"), "area"),),
    ),
    "ship": Move(
        N_("It is on its way"),
        N_("The buyer gets the tracking, and the delivery time starts."),
        "main",
        (
            Field("carrier", N_("Carrier")),
            Field("tracking", N_("Tracking number")),
            Field("url", N_("Tracking page (https://…)")),
        ),
    ),
    "hand_over": Move(
        N_("Enter the delivery code"),
        N_("The buyer shows it at the door; it proves the hand-over."),
        "main",
        (Field("code", N_("Delivery code"), required=True),),
    ),
    "prove_delivery": Move(
        N_("Use the carrier's record"), N_("The carrier has recorded the delivery on the chain."), "main"
    ),
    "claim": Move(N_("Collect the money"), N_("The inspection time is over: the money is yours."), "main"),
    "refund": Move(
        N_("Refund"),
        N_("Gives money back to the buyer at once, in part or whole."),
        "danger",
        (Field("amount", N_("Amount (empty: everything held)"), "amount"),),
    ),
    "propose_settlement": Move(
        N_("Propose a split"),
        N_("If the other side agrees, the money is shared out at once, without an arbiter."),
        "plain",
        (
            Field("buyer_share", N_("Goes back to the buyer"), "amount", required=True),
            Field("note", N_("Note"), "area"),
        ),
    ),
    "accept_settlement": Move(N_("Accept the split"), N_("Shares out the money as the other side proposed."), "main"),
    "dispute": Move(
        N_("Ask the arbiter"),
        N_("Stops the clock until somebody neutral has decided."),
        "danger",
        (Field("text", N_("What happened"), "area", required=True),),
    ),
    "escalate": Move(N_("Go to the second arbiter"), N_("The first one did not answer in time."), "plain"),
    "close_by_default": Move(
        N_("Close without an arbiter"), N_("Nobody ruled in time: the agreed share applies."), "plain"
    ),
    "approve": Move(N_("Approve and pay"), N_("Your money goes into the escrow, not to the shop."), "main"),
    "make_offer": Move(
        N_("Pay now, without waiting"),
        N_("The shop is away. Your money waits in the escrow and comes back if they do not accept in time."),
        "plain",
    ),
    "release": Move(
        N_("Everything is fine: pay the shop"),
        N_("Sends the money to the shop now. This cannot be undone."),
        "main",
        (Field("amount", N_("Amount (empty: everything held)"), "amount"),),
    ),
    "cancel": Move(
        N_("Cancel the request"), N_("Nothing was paid yet."), "danger", (Field("reason", N_("Why"), "area"),)
    ),
    "reclaim": Move(N_("Take my money back"), N_("The shop is late: your money comes back to you."), "main"),
    "lapse": Move(N_("Return the money"), N_("Nobody accepted this offer in time."), "main"),
    "review": Move(
        N_("Write a review"),
        N_("Published under your name, with “verified purchase”."),
        "plain",
        (
            Field("rating", N_("Stars"), "rating", required=True),
            Field("text", N_("Your words"), "area"),
        ),
    ),
    "issue_warranty": Move(
        N_("Issue the warranty"),
        N_("Sets the money for it aside and gives the buyer a certificate."),
        "plain",
        (
            Field("days", N_("Days (empty: as in the listing)"), "days"),
            Field("cover", N_("Cover (empty: as in the listing)"), "amount"),
        ),
    ),
    "open_warranty_claim": Move(
        N_("Claim on the warranty"),
        N_("The shop must answer in time; silence pays you."),
        "plain",
        (
            Field("amount", N_("Amount (empty: the whole cover)"), "amount"),
            Field("text", N_("What broke"), "area", required=True),
        ),
    ),
    "accept_warranty_claim": Move(N_("Pay the warranty claim"), N_("The buyer is paid from your bond."), "main"),
    "contest_warranty_claim": Move(
        N_("Contest the claim"), N_("An arbiter decides."), "danger", (Field("text", N_("Why"), "area", required=True),)
    ),
    "collect_warranty_claim": Move(
        N_("Collect the warranty claim"), N_("The shop did not answer in time: you are paid."), "main"
    ),
    "chat": Move(N_("Write a message"), "", "plain", (Field("text", N_("Message"), "area", required=True),)),
}
SAME = {
    "deliver": "hand_over",
    "deliver_with_code": "hand_over",
    "settle": "accept_settlement",
    "fund": "approve",
    "warranty_claim": "open_warranty_claim",
}


def move_of(action: str) -> Move:
    """How to offer an action; one this version has no words for is offered by its name."""
    name = action.replace("-", "_")
    return MOVES.get(SAME.get(name, name)) or Move(action, "")


def read_move(action: str, form: Form, order: OrderDetail) -> dict[str, Any]:
    """The fields of a move as the trade room takes them; empty ones are left out."""
    values: dict[str, Any] = {}
    for field in move_of(action).fields:
        text = form.text(field.name)
        if not text:
            continue
        if field.kind == "amount":
            values[field.name] = token_units(text, order.quote.token_decimals if order.quote else 18)
        elif field.kind in ("days", "rating"):
            values[field.name] = form.whole(field.name)
        else:
            values[field.name] = text
    return values
