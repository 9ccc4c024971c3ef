"""Every move on an order as a form: its words, its fields, its tone. What is legal now is the trade room's to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from halle_node.trade.views import OrderDetail

from .forms import Form, local_time, token_units
from .i18n import N_


@dataclass(frozen=True)
class Field:
    """One input of a move.

    kind: text | area | amount | days | rating | percent | pieces | tick | choice | time | file | photos | chat |
    seen (what the page showed, sent back unseen).
    `choices` of a choice: (value, words).
    """

    name: str
    label: str
    kind: str = "text"
    required: bool = False
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Move:
    """How a move is offered. tone: main | plain | danger."""

    title: str
    says: str
    tone: str = "plain"
    fields: tuple[Field, ...] = ()

    @property
    def uploads(self) -> bool:
        """Whether the form carries files."""
        return any(field.kind in ("file", "photos") for field in self.fields)


PHOTOS = Field("photos", N_("Photos"), "photos", hint=N_("Up to 8. Place and camera data are removed."))
CHAT = Field("chat", N_("Messages the arbiter may read"), "chat")
PIECES = N_("As article number and quantity, such as CB-M:1, CB-L:2. Empty: everything.")
PARCEL = (
    Field("carrier", N_("Carrier")),
    Field("tracking", N_("Tracking number")),
    Field("url", N_("Tracking page (https://…)")),
)

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
            *PARCEL,
            Field("lines", N_("What is in this parcel"), "pieces", hint=PIECES),
            Field("complete", N_("Nothing more follows, even if pieces are missing"), "tick"),
        ),
    ),
    "send_again": Move(
        N_("Send another parcel"),
        N_("For one that was lost, damaged or sent back, or in exchange."),
        "plain",
        (*PARCEL, Field("lines", N_("What is in this parcel"), "pieces", hint=PIECES)),
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
    "accept_settlement": Move(
        N_("Accept the split"),
        N_("Shares out the money as the other side proposed."),
        "main",
        (Field("buyer_share", "", "seen"),),
    ),
    "dispute": Move(
        N_("Ask the arbiter"),
        N_("Stops the clock until somebody neutral has decided."),
        "danger",
        (Field("text", N_("What happened"), "area", required=True), PHOTOS, CHAT),
    ),
    "add_evidence": Move(
        N_("Give the arbiter more"),
        N_("Words, photos and messages, sealed so that only the arbiter reads them."),
        "plain",
        (Field("text", N_("What the arbiter should know"), "area", required=True), PHOTOS, CHAT),
    ),
    "rule": Move(
        N_("Rule"),
        N_("Shares out what is held, after your fee. This cannot be undone."),
        "main",
        (
            Field("buyer_bps", N_("Share of the buyer (%)"), "percent", required=True),
            Field("text", N_("Your reasons (both sides read them)"), "area", required=True),
        ),
    ),
    "ask_party": Move(
        N_("Ask"),
        N_("They can answer with words and photos."),
        "plain",
        (
            Field(
                "party",
                N_("Whom"),
                "choice",
                choices=(("both", N_("Both")), ("buyer", N_("The buyer")), ("merchant", N_("The shop"))),
            ),
            Field("text", N_("Your question"), "area", required=True),
        ),
    ),
    "confirm_receipt": Move(
        N_("It has arrived"),
        N_("Tells the shop; you keep your time to look at it."),
        "plain",
        (Field("note", N_("Note"), "area"),),
    ),
    "request_return": Move(
        N_("Send something back"),
        N_("The shop answers with how to send it. Your money stays where it is until then."),
        "plain",
        (
            Field("reason", N_("Why"), "area", required=True),
            Field("lines", N_("What goes back"), "pieces", hint=PIECES),
            Field(
                "exchange",
                N_("What you want instead"),
                "pieces",
                hint=N_("As article number and quantity, such as CB-L:1. Empty: the money."),
            ),
            Field("withdrawal", N_("I withdraw from the purchase"), "tick"),
            PHOTOS,
        ),
    ),
    "approve_return": Move(
        N_("Take it back"),
        N_("The buyer reads how to send it."),
        "main",
        (Field("instructions", N_("Address, and who pays for the way"), "area", required=True),),
    ),
    "decline_return": Move(
        N_("Decline the return"),
        N_("The buyer may still ask the arbiter."),
        "danger",
        (Field("reason", N_("Why (the buyer reads this)"), "area", required=True),),
    ),
    "send_return": Move(
        N_("It is on its way back"),
        N_("The shop gets the tracking."),
        "main",
        (Field("carrier", N_("Carrier")), Field("tracking", N_("Tracking number"))),
    ),
    "receive_return": Move(
        N_("The return is here"),
        N_("Then refund, propose a split, or send the exchange."),
        "main",
        (Field("note", N_("Note"), "area"), Field("restock", N_("Put the pieces back into stock"), "tick")),
    ),
    "cancel_return": Move(N_("Keep it after all"), N_("Ends the return."), "plain"),
    "send_deliverable": Move(
        N_("Hand over without a parcel"),
        N_("A file, a licence key, an appointment, a milestone reached: sealed to the buyer."),
        "plain",
        (
            Field("name", N_("What it is"), required=True),
            Field(
                "kind",
                N_("Kind"),
                "choice",
                choices=(
                    ("text", N_("Text")),
                    ("file", N_("File")),
                    ("licence", N_("Licence key")),
                    ("appointment", N_("Appointment")),
                    ("milestone", N_("Milestone")),
                    ("lesson", N_("Lesson")),
                ),
            ),
            Field("text", N_("Text"), "area"),
            Field("at", N_("When"), "time"),
            Field("file", N_("File"), "file"),
        ),
    ),
    "ask_deliverable": Move(
        N_("Send it to me again"), N_("The shop's node sends your files and keys once more."), "plain"
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
            PHOTOS,
        ),
    ),
    "offer_repair": Move(
        N_("Offer a repair"),
        N_("Or a replacement, instead of paying. The holder accepts or asks the arbiter."),
        "plain",
        (Field("text", N_("What you offer"), "area", required=True),),
    ),
    "accept_repair": Move(N_("Accept the repair"), N_("Ends the claim without a payment."), "main"),
    "lapse_repair_offer": Move(N_("End the offer"), N_("Nobody answered it in time."), "plain"),
    "rule_warranty_claim": Move(
        N_("Rule the claim"),
        N_("Pays the holder from the bond. This cannot be undone."),
        "main",
        (
            Field("amount", N_("Amount for the holder"), "amount", required=True),
            Field("text", N_("Your reasons (both sides read them)"), "area", required=True),
        ),
    ),
    "expire_warranty": Move(N_("End the certificate"), N_("Its time is over: the bond is free again."), "plain"),
    "transfer_warranty": Move(
        N_("Pass the certificate on"),
        N_("To whoever bought the thing from you. You can claim on it no more."),
        "plain",
        (Field("to", N_("Their address (0x…)"), required=True),),
    ),
    "surrender_warranty": Move(N_("Give the certificate up"), N_("For example after a refund."), "danger"),
    "accept_warranty_claim": Move(N_("Pay the warranty claim"), N_("The buyer is paid from your bond."), "main"),
    "contest_warranty_claim": Move(
        N_("Contest the claim"), N_("An arbiter decides."), "danger", (Field("text", N_("Why"), "area", required=True),)
    ),
    "collect_warranty_claim": Move(
        N_("Collect the warranty claim"), N_("The shop did not answer in time: you are paid."), "main"
    ),
    "go_on": Move(
        N_("Go on without their copy"),
        N_("This order was restored, and the other side has not said yet what was agreed and sent. Check first."),
        "danger",
    ),
    "chat": Move(N_("Write a message"), "", "plain", (Field("text", N_("Message"), "area"), PHOTOS)),
}
PERCENT_DECIMALS = 2
UNKNOWN_DECIMALS = 18
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


def read_move(action: str, form: Form, decimals: int) -> dict[str, Any]:
    """The fields of a move as the trade room takes them; empty ones are left out. `decimals` are the token's."""
    values: dict[str, Any] = {}
    for field in move_of(action).fields:
        if field.kind in ("file", "photos", "chat"):
            values |= _read_many(field, form)
        elif text := form.text(field.name):
            values[field.name] = _read_one(field, form, text, decimals)
    return values


def _read_one(field: Field, form: Form, text: str, decimals: int) -> Any:
    if field.kind == "amount":
        return token_units(text, decimals)
    if field.kind == "percent":
        return token_units(text, PERCENT_DECIMALS)
    if field.kind in ("days", "rating"):
        return form.whole(field.name)
    if field.kind == "tick":
        return form.ticked(field.name)
    return local_time(text) if field.kind == "time" else text


def _read_many(field: Field, form: Form) -> dict[str, Any]:
    """Read files and ticked messages; a conversation that was not shown is not chosen from."""
    if field.kind == "chat":
        return {"chat": tuple(form.texts("chat"))} if form.text("chat_shown") else {}
    files = [file.file.read() for file in form.files_of(field.name)]
    if field.kind == "photos":
        return {"photos": files} if files else {}
    return {field.name: files[0]} if files else {}


def decimals_of(order: OrderDetail) -> int:
    """The decimals of an order's token."""
    return order.quote.token_decimals if order.quote else UNKNOWN_DECIMALS
