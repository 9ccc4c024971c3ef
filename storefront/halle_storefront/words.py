"""The words of the hall, in one place: every status, move, event and error code in plain English, ready to translate.

Each badge has colour, icon and text, because colour alone tells some readers nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from halle_node.trade.views import TimelineEntry

from .i18n import N_


@dataclass(frozen=True)
class Badge:
    """How a status looks. tone: ok | wait | bad | calm | plain."""

    tone: str
    icon: str
    text: str


STATUS = {
    "draft": Badge("plain", "clock", N_("Not sent")),
    "requested": Badge("wait", "clock", N_("Waiting for an answer")),
    "quoted": Badge("calm", "info", N_("Quote ready")),
    "funding": Badge("calm", "clock", N_("Payment on its way")),
    "offered": Badge("wait", "lock", N_("Paid, waiting to be accepted")),
    "accepted": Badge("calm", "box", N_("To be packed")),
    "shipped": Badge("calm", "truck", N_("On its way")),
    "delivered": Badge("ok", "check", N_("Delivered")),
    "disputed": Badge("bad", "scale", N_("In dispute")),
    "escalated": Badge("bad", "scale", N_("With the second arbiter")),
    "closed": Badge("ok", "check", N_("Closed")),
    "declined": Badge("plain", "cross", N_("Declined")),
    "cancelled": Badge("plain", "cross", N_("Cancelled")),
    "expired": Badge("plain", "clock", N_("Quote expired")),
    "failed": Badge("bad", "warning", N_("Failed")),
    "none": Badge("plain", "clock", N_("Not paid")),
}
PAYMENT = {
    "partially_paid": Badge("calm", "coin", N_("Partly paid out")),
    "unpaid": Badge("plain", "clock", N_("Not paid")),
    "pending": Badge("wait", "clock", N_("Payment on its way")),
    "escrowed": Badge("calm", "lock", N_("Money held safely")),
    "held": Badge("calm", "lock", N_("Money held safely")),
    "partially_released": Badge("calm", "coin", N_("Partly paid out")),
    "released": Badge("ok", "check", N_("Paid out")),
    "paid": Badge("ok", "check", N_("Paid out")),
    "partially_refunded": Badge("wait", "undo", N_("Partly refunded")),
    "refunded": Badge("plain", "undo", N_("Refunded")),
    "split": Badge("calm", "scale", N_("Shared out")),
    "settled": Badge("ok", "check", N_("Settled")),
    "disputed": Badge("bad", "scale", N_("Money in dispute")),
    "expired": Badge("plain", "clock", N_("Expired")),
}
FULFILMENT = {
    "unfulfilled": Badge("wait", "box", N_("To be packed")),
    "in_progress": Badge("calm", "box", N_("Being packed")),
    "shipped": Badge("calm", "truck", N_("On its way")),
    "partially_fulfilled": Badge("calm", "truck", N_("Partly sent")),
    "fulfilled": Badge("ok", "check", N_("Delivered")),
    "delivered": Badge("ok", "check", N_("Delivered")),
    "returned": Badge("plain", "undo", N_("Returned")),
    "on_hold": Badge("wait", "clock", N_("On hold")),
    "not_needed": Badge("plain", "check", N_("Nothing to send")),
}
RETURNS = {
    "requested": Badge("wait", "undo", N_("Return asked for")),
    "open": Badge("wait", "undo", N_("Return on its way")),
    "closed": Badge("ok", "undo", N_("Return finished")),
    "declined": Badge("plain", "undo", N_("Return declined")),
    "canceled": Badge("plain", "undo", N_("Return cancelled")),
}
AVAILABILITY = {
    "in_stock": Badge("ok", "check", N_("In stock")),
    "backorder": Badge("wait", "clock", N_("On back-order")),
    "preorder": Badge("calm", "clock", N_("Pre-order")),
    "out_of_stock": Badge("plain", "cross", N_("Sold out")),
    "discontinued": Badge("plain", "cross", N_("No longer made")),
}
PRODUCT = {
    "active": Badge("ok", "check", N_("For sale")),
    "draft": Badge("plain", "clock", N_("Draft")),
    "archived": Badge("plain", "box", N_("Archived")),
    "removed": Badge("plain", "trash", N_("Removed")),
    "unpublished": Badge("wait", "publish", N_("Not published yet")),
    "changed": Badge("wait", "publish", N_("Changed since publishing")),
}
VERDICT = {
    "created": Badge("ok", "plus", N_("New")),
    "updated": Badge("calm", "check", N_("Updated")),
    "skipped": Badge("plain", "clock", N_("Left out")),
    "warning": Badge("wait", "warning", N_("Look at this")),
    "error": Badge("bad", "cross", N_("Wrong")),
}
FINALITY = {
    "pending": Badge("plain", "clock", N_("on its way")),
    "seen": Badge("wait", "clock", N_("seen")),
    "safe": Badge("calm", "check", N_("safe")),
    "final": Badge("ok", "check", N_("final")),
    "failed": Badge("bad", "warning", N_("failed")),
}
CERTIFICATE = {
    "active": Badge("ok", "shield", N_("Valid")),
    "claimed": Badge("wait", "clock", N_("Claim open")),
    "claim-open": Badge("wait", "clock", N_("Claim open")),
    "open": Badge("wait", "clock", N_("Claim open")),
    "contested": Badge("bad", "scale", N_("Claim contested")),
    "paid": Badge("ok", "check", N_("Claim paid")),
    "expired": Badge("plain", "clock", N_("Expired")),
}
KINDS = {
    "physical": N_("Goods"),
    "digital": N_("Digital"),
    "service": N_("Service"),
    "course": N_("Course"),
    "rental": N_("Rental"),
    "request": N_("On request"),
}
PROOFS = {
    "none": N_("No proof: the buyer confirms, or time runs out"),
    "code": N_("Delivery code shown by the buyer"),
    "carrier": N_("The carrier's record"),
}
POLICIES = {
    "terms": N_("Terms of sale"),
    "privacy": N_("Privacy"),
    "returns": N_("Returns"),
    "refund": N_("Returns"),
    "shipping": N_("Delivery"),
    "legal": N_("Legal notice"),
}
NOTICES = {
    "saved": N_("Saved."),
    "published": N_("Published."),
    "removed": N_("Removed."),
    "restored": N_("Brought back."),
    "imported": N_("The import is done."),
    "import-undone": N_("The import was undone."),
    "photo-added": N_("Photos added."),
    "connected": N_("Connected."),
    "synced": N_("Caught up with this peer."),
    "added": N_("Added to your cart."),
    "cart-changed": N_("Cart changed."),
    "asked": N_("Your request is on its way to the shop."),
    "done": N_("Done."),
    "sent": N_("Sent."),
    "following": N_("You follow this shop now."),
    "unfollowed": N_("You no longer follow this shop."),
    "test-money": N_("Test money is on its way to your wallet."),
}
ERROR_WORDS = {
    "not-found": (N_("There is nothing at this address."), N_("Check the address, or go to the start page.")),
    "keys-locked": (N_("Your keys are locked."), N_("Unlock them with your password in the terminal: halle unlock")),
    "balance-too-small": (N_("There is not enough money in your wallet."), N_("Add money to your wallet and try again.")),
    "quote-expired": (N_("This quote is no longer valid."), N_("Ask the shop for a new one.")),
    "already-funded": (N_("This order is paid already."), ""),
    "delivery-code-wrong": (
        N_("This is not the code of this order."),
        N_("Ask the buyer to show the code on their order page again."),
    ),
    "out-of-stock": (N_("There are not enough pieces left."), N_("Choose fewer pieces or another variant.")),
    "not-available": (N_("This cannot be bought at the moment."), N_("Choose another variant or look again later.")),
    "no-shipping-to-country": (N_("The shop does not deliver to this country."), N_("Choose another address or ask the shop.")),
    "address-missing": (N_("The delivery address is not complete."), N_("Fill in name, street, city, postcode and country.")),
    "cart-empty": (N_("Your cart is empty."), N_("Put something in it first.")),
    "own-listing": (N_("This is your own product."), N_("Buy it from another node to test the order.")),
    "action-not-now": (N_("This step is not possible at the moment."), N_("Look at the order again: it may have moved on.")),
    "order-unknown": (N_("There is no such order here."), N_("Look for it in the list of orders.")),
    "listing-unknown": (N_("This product is not known here."), N_("It may have been withdrawn. Search again.")),
    "store-unknown": (N_("This shop is not known here."), N_("Connect to a peer that knows it, then search again.")),
    "product-unknown": (N_("There is no such product."), N_("Look for it in the list of products.")),
    "image-invalid": (N_("This file is not a picture we can use."), N_("Use a JPEG, PNG or WebP file of at most 20 MB.")),
    "image-too-large": (N_("This picture is too large."), N_("Use one of at most 32 megapixels and 20 MB.")),
    "amount-invalid": (N_("This amount cannot be read."), N_("Write it with digits, for example 12.50.")),
    "price-missing": (N_("A price is missing."), N_("Give every variant a price.")),
    "form-invalid": (N_("Something in the form is missing or wrong."), N_("Check the fields and send it again.")),
    "chain-unavailable": (N_("The chain cannot be reached."), N_("Orders wait safely; try again in a moment.")),
    "peer-unreachable": (N_("This peer cannot be reached."), N_("Check the address and that the other node is running.")),
}


def badge(table: dict[str, Badge], status: str) -> Badge:
    """The badge of a status; an unknown one is shown as it is."""
    key = str(status)
    return table.get(key) or table.get(key.replace("-", "_")) or Badge("plain", "info", key or "–")


class Words:
    """The badges by their short names, for templates."""

    @staticmethod
    def status(value: str) -> Badge:
        return badge(STATUS, value)

    @staticmethod
    def payment(value: str) -> Badge:
        return badge(PAYMENT, value)

    @staticmethod
    def fulfilment(value: str) -> Badge:
        return badge(FULFILMENT, value)

    @staticmethod
    def returns(value: str) -> Badge:
        return badge(RETURNS, value)

    @staticmethod
    def availability(value: str) -> Badge:
        return badge(AVAILABILITY, value)

    @staticmethod
    def product(value: str) -> Badge:
        return badge(PRODUCT, value)

    @staticmethod
    def verdict(value: str) -> Badge:
        return badge(VERDICT, value)

    @staticmethod
    def finality(value: str) -> Badge:
        return badge(FINALITY, value)

    @staticmethod
    def certificate(value: str) -> Badge:
        return badge(CERTIFICATE, value)


def notice(code: str) -> str:
    """The sentence for `?done=code`; only our own sentences can be shown this way."""
    return NOTICES.get(code, "")


TIMELINE = {
    "requested": N_("The buyer asked for a quote."),
    "quoted": N_("The shop signed a quote."),
    "declined": N_("The shop declined: %(reason)s"),
    "cancelled": N_("The buyer cancelled."),
    "funded": N_("The buyer paid %(amount)s into the escrow."),
    "offered": N_("The buyer paid into the escrow and waits for the shop to accept."),
    "accepted": N_("The shop accepted the order."),
    "shipped": N_("The parcel is on its way."),
    "checkpoint": N_("The carrier reported: %(status)s"),
    "delivered": N_("Delivered."),
    "paid": N_("Money was paid out."),
    "closed": N_("The order is closed."),
    "disputed": N_("The arbiter was asked."),
    "escalated": N_("The second arbiter was asked."),
    "proposal": N_("A split was proposed."),
    "settled": N_("Both sides agreed on a split."),
    "reviewed": N_("The buyer wrote a review."),
    "chat": N_("A message was written."),
    "warranty": N_("A warranty certificate was issued."),
    "claimed": N_("A warranty claim was opened."),
    "claim-paid": N_("The warranty claim was paid."),
    "operator": N_("The node's working key was registered on the chain."),
}


def sentence(entry: TimelineEntry, say: Callable[[str], str]) -> str:
    """One line of an order's history in the reader's language."""
    key = entry.key.removeprefix("timeline.")
    text = TIMELINE.get(key)
    if text is None:
        return key.replace("-", " ").replace("_", " ").capitalize()
    values = {name: "" if value is None else str(value) for name, value in entry.params.items()}
    return say(text) % defaultdict(str, values)
