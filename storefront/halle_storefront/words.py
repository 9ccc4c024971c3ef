"""The words of the hall, in one place: every status, move, event and error code in plain English, ready to translate.

Each badge has colour, icon and text, because colour alone tells some readers nothing.
Long because it is tables: a word is found, and its neighbour compared, by reading one file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

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
MESSAGE_STATE = {
    "queued": Badge("wait", "clock", N_("waits")),
    "refused": Badge("bad", "cross", N_("refused")),
}
MESSAGE_KINDS = {
    "order": N_("Order"),
    "shipment": N_("Parcel"),
    "parcel": N_("Parcel"),
    "checkpoint": N_("Parcel"),
    "receipt": N_("Receipt"),
    "settlement": N_("Settlement"),
    "dispute": N_("Dispute"),
    "case": N_("Dispute"),
    "return": N_("Return"),
    "claim": N_("Warranty"),
    "warranty": N_("Warranty"),
    "deliverable": N_("Digital goods"),
    "chat": N_("Conversation"),
}
TRANSACTION = {
    "queued": Badge("wait", "clock", N_("not sent yet")),
    "signed": Badge("wait", "clock", N_("not sent yet")),
    "sent": Badge("wait", "clock", N_("on its way")),
    "mined": Badge("calm", "check", N_("in a block, not final")),
    "failed": Badge("bad", "warning", N_("failed")),
}
ENDPOINT = {
    "asked": Badge("ok", "check", N_("in use")),
    "ready": Badge("ok", "check", N_("checks the first")),
    "behind": Badge("wait", "clock", N_("is behind")),
    "resting": Badge("wait", "clock", N_("does not answer")),
    "set-aside": Badge("bad", "warning", N_("not believed")),
}
REACH = {
    "public": Badge("ok", "check", N_("Anyone can reach you")),
    "relayed": Badge("ok", "check", N_("Others reach you through a relay")),
    "lan": Badge("wait", "warning", N_("Only your own network reaches you")),
    "private": Badge("bad", "warning", N_("Nobody can reach you")),
    "loopback": Badge("bad", "warning", N_("Your node listens to this computer only")),
    "unknown": Badge("plain", "clock", N_("Nobody has tried yet")),
}
REACH_STEPS = {
    "nothing": N_("All is well; there is nothing to do."),
    "connect": N_("Connect to a peer; it then tries to call you back."),
    "listen": N_('Write listen_host = "0.0.0.0" into halle.toml and start the node again.'),
    "forward": N_("In your router, forward the node's port (4480 unless you changed it) to this computer."),
    "forward-faster": N_(
        "Without the relay it would be faster: let your router forward the node's port to this computer."
    ),
    "name-relay": N_(
        "Or ask somebody with a reachable node for a relay, and write its address into halle.toml: relays."
    ),
    "relay-fails": N_("A relay that you named does not keep a place for you: check its address, or name another."),
    "offer-relay": N_("You can help others behind routers: relay_service = true in halle.toml."),
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
KUBO = {
    "waiting": Badge("plain", "clock", N_("nothing to keep yet")),
    "working": Badge("calm", "clock", N_("being brought up to date")),
    "ok": Badge("ok", "check", N_("keeps your shop")),
    "failed": Badge("bad", "warning", N_("does not keep it yet")),
}
CERTIFICATE = {
    "active": Badge("ok", "shield", N_("Valid")),
    "claimed": Badge("wait", "clock", N_("Claim open")),
    "claim-open": Badge("wait", "clock", N_("Claim open")),
    "open": Badge("wait", "clock", N_("Claim open")),
    "contested": Badge("bad", "scale", N_("Claim contested")),
    "offered": Badge("wait", "chat", N_("Repair offered")),
    "announced": Badge("plain", "clock", N_("Announced")),
    "paid": Badge("ok", "check", N_("Claim paid")),
    "expired": Badge("plain", "clock", N_("Expired")),
}
COVER = {
    "asked": Badge("wait", "clock", N_("Asked")),
    "undelivered": Badge("bad", "warning", N_("Not accepted")),
    "declined": Badge("bad", "cross", N_("Declined")),
    "offered": Badge("wait", "chat", N_("Offered")),
    "expired": Badge("plain", "clock", N_("Expired")),
    "paying": Badge("wait", "clock", N_("Premium on its way")),
    "bought": Badge("ok", "shield", N_("Insured")),
}
CHECKPOINT = {
    "accepted": N_("Taken over"),
    "in-transit": N_("On its way"),
    "out-for-delivery": N_("Out for delivery"),
    "ready-for-pickup": N_("Ready to be picked up"),
    "failed-attempt": N_("Nobody there"),
    "delivered": N_("Delivered"),
    "returned": N_("Sent back"),
    "exception": N_("Something went wrong"),
}
RECORD = {
    **CHECKPOINT,
    "disputes": N_("disputes"),
    "ruled": N_("ruled"),
    "silent": N_("left unanswered"),
    "agreed": N_("settled by the sides"),
    "open": N_("open"),
    "parcels": N_("parcels"),
    "certificates": N_("certificates"),
    "claims": N_("claims"),
    "paid": N_("paid"),
    "accepted": N_("accepted"),
    "contested": N_("contested"),
}
FINDINGS = {
    ("terms", True): N_("The terms are those on the chain."),
    ("terms", False): N_("The terms are not those on the chain."),
    ("document", True): N_("The order is the one that was paid."),
    ("document", False): N_("The order's content is missing or another one."),
    ("sides", True): N_("Sent by a side of this order."),
    ("sides", False): N_("Not sent by a side of this order."),
    ("messages", True): N_("Every message is signed by its side."),
    ("messages", False): N_("Some messages do not belong to this order or are not signed; they are left out."),
    ("committed", True): N_("The chain committed to exactly this evidence when the dispute was opened."),
    ("committed", False): N_("Added beside the chain's commitment."),
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
    "erased": N_("The customer’s data is erased."),
    "saved": N_("Saved."),
    "published": N_("Published."),
    "removed": N_("Removed."),
    "restored": N_("Brought back."),
    "imported": N_("The import is done."),
    "import-undone": N_("The import was undone."),
    "photo-added": N_("Photos added."),
    "connected": N_("Connected."),
    "blocked": N_("Blocked. You can take it back below."),
    "allowed": N_("Always served from now on. You can take it back below."),
    "rule-removed": N_("The rule was taken back."),
    "synced": N_("Caught up with this peer."),
    "added": N_("Added to your cart."),
    "cart-changed": N_("Cart changed."),
    "asked": N_("Your request is on its way to the shop."),
    "done": N_("Done."),
    "sent": N_("Sent."),
    "question-sent": N_("Your question is on its way to the shop."),
    "mail-sent": N_("The mail server took the test letter. Look into your mailbox."),
    "noted": N_("Noted. Only you see it."),
    "all-read": N_("All marked as read."),
    "following": N_("You follow this shop now."),
    "cleaned": N_("Cleaned up."),
    "retrying": N_("Everything that waits is tried again now."),
    "taken-in": N_("The message was taken in."),
    "unfollowed": N_("You no longer follow this shop."),
    "test-money": N_("Test money is on its way to your wallet."),
}
ERROR_WORDS = {
    "talk-unknown": (N_("There is no such conversation."), N_("Look at the list of messages.")),
    "wait-for-answer": (
        N_("Several messages of yours wait for the shop's answer already."),
        N_("Write again when it has answered."),
    ),
    "not-asked": (N_("This store does not take messages from a shop it never asked."), ""),
    "sender-blocked": (N_("The other side does not take messages from you."), ""),
    "conversation-full": (N_("This conversation is full."), N_("Write about an order instead.")),
    "notice-unknown": (N_("There is no such notice any more."), N_("Look at the list.")),
    "mail-off": (N_("Mail is not set up yet."), N_("Fill in server and addresses first, and save.")),
    "mail-settings": (
        N_("These mail settings cannot work."),
        N_("Addresses as camille@example.org, the server as smtp.example.org."),
    ),
    "smtp-insecure": (N_("The password would cross the network in clear."), N_("Choose TLS or STARTTLS.")),
    "smtp-unreachable": (N_("The mail server cannot be reached."), N_("Check its name and port.")),
    "smtp-timeout": (N_("The mail server does not answer in time."), N_("Check its name and port.")),
    "smtp-busy": (N_("The mail server cannot take it now."), N_("It is tried again by itself.")),
    "smtp-tls": (
        N_("There is no safe connection to the mail server."),
        N_("Check the kind of security, the port, and that the certificate names this server."),
    ),
    "smtp-auth": (
        N_("The mail server refuses user or password."),
        N_("Many providers want an app password, made in their own settings."),
    ),
    "smtp-refused": (
        N_("The mail server refuses the letter."),
        N_("Check the two addresses; many servers send only for their own."),
    ),
    "rule-off": (N_("Waits for you: you answer every order yourself."), N_("Accept or decline it.")),
    "rule-value": (N_("Waits for you: it is worth more than your node accepts alone."), N_("Accept or decline it.")),
    "rule-country": (
        N_("Waits for you: your node does not accept this country alone."),
        N_("Accept or decline it."),
    ),
    "rule-hours": (
        N_("Waits for your opening hours."),
        N_("Your node takes it then, or accept it now."),
    ),
    "rules-invalid": (
        N_("These rules cannot be read."),
        N_("Hours as 09:00, countries as two letters, a time zone such as Europe/Paris."),
    ),
    "licences-sold-out": (
        N_("There are not enough licence keys."),
        N_("Add some to the product; they go out by themselves."),
    ),
    "arbiter-unreached": (
        N_("The arbiter cannot be reached yet."),
        N_("The evidence is kept and goes out as soon as their node is known."),
    ),
    "arbiter-is-us": (N_("A shop cannot rule its own orders."), N_("Choose somebody else.")),
    "arbiters-equal": (N_("The second arbiter must be another one."), N_("Choose another, or nobody.")),
    "role-terms-missing": (N_("A role needs terms."), N_("Write what you do, and how.")),
    "fee-out-of-range": (N_("The fee is too high."), N_("At most 10 %.")),
    "instructions-missing": (
        N_("The buyer must know where and how to send it."),
        N_("Write the address and who pays for the way."),
    ),
    "line-unknown": (N_("This article is not in the order."), N_("Use the article numbers shown on the order.")),
    "payment-not-safe": (
        N_("The payment is not deep enough in the chain yet."),
        N_("Wait a moment, or send it anyway if you trust this buyer."),
    ),
    "already-sent": (N_("This is on its way already."), N_("Look at the order in a moment.")),
    "amount-out-of-range": (N_("This amount is more than is held."), N_("Write a smaller one.")),
    "share-out-of-range": (N_("The share is between 0 and 100 %."), N_("Write it with digits, for example 40.")),
    "cover-out-of-range": (N_("This is more than the certificate covers."), N_("Write a smaller amount.")),
    "bond-too-small": (N_("So much of the bond is not free."), N_("The rest backs certificates.")),
    "declined": (N_("The underwriter said no."), ""),
    "terms-changed": (N_("The underwriter has other terms by now."), N_("Ask again.")),
    "token-not-covered": (N_("They do not cover in this token."), N_("Ask another underwriter.")),
    "cover-too-large": (N_("They do not cover that much."), N_("Ask for less.")),
    "term-too-long": (N_("They do not cover that long."), N_("Ask for fewer days.")),
    "already-covered": (N_("Certificates cover this order already."), N_("Ask for less, or later.")),
    "order-not-insurable": (
        N_("Only what was sold and not given back can be insured."),
        N_("Wait until the shop has accepted, or until a dispute is over."),
    ),
    "arbiter-is-underwriter": (N_("The arbiter of an order cannot insure it."), N_("Ask another underwriter.")),
    "no-limits": (N_("You have published no limits, so you decide each request."), ""),
    "no-arbiter": (N_("The order names no arbiter: a contested claim would always be paid."), ""),
    "not-an-underwriter": (N_("They insure nothing any more."), N_("Ask another underwriter.")),
    "underwriter-unknown": (N_("They insure nothing, as far as this node knows."), N_("Choose one from the list.")),
    "already-asked": (N_("You have asked for this already."), N_("Wait for the answer, or take the offer.")),
    "already-answered": (N_("This is answered already."), N_("An offer cannot be taken back.")),
    "offer-expired": (N_("The time to pay is over."), N_("Ask again.")),
    "offer-changed": (N_("The offer is another one by now."), N_("Look at it again.")),
    "cover-unknown": (N_("There is no such request for cover."), N_("Look at the list.")),
    "block-missing": (N_("The file is not here yet."), N_("Try again when its sender is online.")),
    "file-unknown": (N_("There is no such file."), N_("Open the order again.")),
    "file-too-large": (N_("This file is too large."), N_("Send it in parts.")),
    "party-unreached": (N_("This side cannot be reached yet."), N_("Wait for their evidence, then ask again.")),
    "bad-address": (N_("This is not an address."), N_("It begins with 0x and has 40 more characters.")),
    "not-found": (N_("There is nothing at this address."), N_("Check the address, or go to the start page.")),
    "keys-locked": (N_("Your keys are locked."), N_("Start the node again with halle up and give your password.")),
    "balance-too-small": (
        N_("There is not enough money in your wallet."),
        N_("Add money to your wallet and try again."),
    ),
    "quote-expired": (N_("This quote is no longer valid."), N_("Ask the shop for a new one.")),
    "chain-time-old": (N_("The chain is asked for its time first."), N_("Try again in a moment.")),
    "quote-too-long": (N_("The shop does not wait that long for the payment."), N_("Order again in a moment.")),
    "already-funded": (N_("This order is paid already."), ""),
    "delivery-code-wrong": (
        N_("This is not the code of this order."),
        N_("Ask the buyer to show the code on their order page again."),
    ),
    "order-message-missing": (
        N_("The money is in escrow, but the order itself has not arrived yet."),
        N_("The other side is asked for it and sends it by itself."),
    ),
    "customer-erased": (
        N_("This customer was erased at their wish."),
        N_("What your books need is still here."),
    ),
    "customer-has-open-orders": (
        N_("Orders of this customer are not over."),
        N_("Finish, refund or decline them first."),
    ),
    "history-awaited": (
        N_("A restored order may have got one of these licence keys already."),
        N_("Its buyer's node tells; or open that order and go on without."),
    ),
    "history-incomplete": (
        N_("The other side has sent only a part of what was said in this order."),
        N_("Compare with your papers before you send anything."),
    ),
    "history-lost": (
        N_("The other side does not have the words of this order either."),
        N_("The money is safe: refund it, or agree by other means."),
    ),
    "restored": (
        N_("The node was restored before this transaction was sent."),
        N_("Make the move again if it is due."),
    ),
    "replaced-elsewhere": (
        N_("Another machine runs this shop now; this one only looks on."),
        N_("Use that one."),
    ),
    "edition-unknown": (
        N_("This restored shop still looks for its last edition in the network."),
        N_("Connect to a peer, then wait a moment."),
    ),
    "backup-running": (N_("A back-up is being made."), N_("Wait until it has ended.")),
    "backup-path": (
        N_("No back-up can be put there."),
        N_("Give the full path of a file in a folder that exists, on another disk, outside the node's own folder."),
    ),
    "backup-unwritable": (N_("The back-up cannot be written there."), N_("Check the disk, or choose another place.")),
    "backup-stopped": (N_("The back-up was stopped."), N_("Start it again.")),
    "file-exists": (N_("That file is something else than a back-up."), N_("Choose another name.")),
    "out-of-stock": (N_("There are not enough pieces left."), N_("Choose fewer pieces or another variant.")),
    "not-available": (N_("This cannot be bought at the moment."), N_("Choose another variant or look again later.")),
    "no-shipping-to-country": (
        N_("The shop does not deliver to this country."),
        N_("Choose another address or ask the shop."),
    ),
    "address-missing": (
        N_("The delivery address is not complete."),
        N_("Fill in name, street, city, postcode and country."),
    ),
    "cart-empty": (N_("Your cart is empty."), N_("Put something in it first.")),
    "own-listing": (N_("This is your own product."), N_("Buy it from another node to test the order.")),
    "action-not-now": (
        N_("This step is not possible at the moment."),
        N_("Look at the order again: it may have moved on."),
    ),
    "order-unknown": (N_("There is no such order here."), N_("Look for it in the list of orders.")),
    "listing-unknown": (N_("This product is not known here."), N_("It may have been withdrawn. Search again.")),
    "store-unknown": (N_("This shop is not known here."), N_("Connect to a peer that knows it, then search again.")),
    "product-unknown": (N_("There is no such product."), N_("Look for it in the list of products.")),
    "image-invalid": (
        N_("This file is not a picture we can use."),
        N_("Use a JPEG, PNG or WebP file of at most 20 MB."),
    ),
    "image-too-large": (N_("This picture is too large."), N_("Use one of at most 32 megapixels and 20 MB.")),
    "amount-invalid": (N_("This amount cannot be read."), N_("Write it with digits, for example 12.50.")),
    "price-missing": (N_("A price is missing."), N_("Give every variant a price.")),
    "form-invalid": (N_("Something in the form is missing or wrong."), N_("Check the fields and send it again.")),
    "variant-unknown": (N_("This variant no longer exists."), N_("Choose another one.")),
    "quote-mismatch": (
        N_("The quote is not what was asked for."),
        N_("Cancel it and ask again, or write to the shop."),
    ),
    "shipment-mismatch": (
        N_("The parcel’s hash is not of this carrier and tracking number."),
        N_("The other side refused it; update this node."),
    ),
    "settlement-changed": (
        N_("The other side has proposed another split since."),
        N_("Read the new one before you accept."),
    ),
    "terms-missing": (N_("This shop has not said yet how it wants to be paid."), N_("Try again later.")),
    "token-unknown": (N_("The shop does not take this token."), N_("Choose another one.")),
    "quantity-out-of-range": (N_("This quantity is not possible."), N_("Choose another quantity.")),
    "cart-full": (N_("The cart is full."), N_("Order or remove something first.")),
    "rpc-down": (N_("The chain cannot be reached."), N_("Orders wait safely; try again in a moment.")),
    "tx-slow": (
        N_("Nobody has put this transaction into a block yet."),
        N_("It is sent again with a higher fee by itself; it can happen only once."),
    ),
    "nonce-taken": (
        N_("Another transaction of your key took this one's place."),
        N_("It is sent anew once that is final. Do not use this key in another wallet at the same time."),
    ),
    "nonce-used": (
        N_("The chain knows a transaction with this number already."),
        N_("The node finds out which one it is; nothing is sent twice."),
    ),
    "underpriced": (N_("The fee was too low."), N_("It is sent again with a higher fee by itself.")),
    "insufficient-funds": (
        N_("The account has too few coins for the fee."),
        N_("Send it some; the page Network shows its address. The rest goes on by itself."),
    ),
    "reverted": (
        N_("The contract refused it."),
        N_("Look at the order again: its state has changed, or an amount is missing."),
    ),
    "signer-unknown": (
        N_("This node does not have the key for it."),
        N_("Restore the key, then start the node again."),
    ),
    "rpc-error": (N_("The chain refused it for now."), N_("It is tried again by itself.")),
    "processing-failed": (
        N_("It could not be processed."),
        N_("Its sender tries again; after an update of Halle it may go through."),
    ),
    "message-unknown": (N_("No such message was set aside."), N_("Look at the list again.")),
    "rpc-limited": (
        N_("The chain's endpoint takes no more requests for now."),
        N_("The node waits and asks again; a second endpoint ends the waiting."),
    ),
    "rpc-bad-answer": (
        N_("The chain's endpoint gives answers that cannot be used."),
        N_("Use another endpoint if this lasts."),
    ),
    "rpc-too-large": (
        N_("The chain's endpoint floods this node with an answer that is far too large."),
        N_("It is not asked any more for a while. Take it out of the settings."),
    ),
    "rpc-moved": (
        N_("The chain's endpoint sends us to another address, which is not followed."),
        N_("If you trust that address, put it into the settings."),
    ),
    "rpc-inconsistent": (
        N_("The chain's endpoint contradicts itself."),
        N_("The node asks again; use another endpoint if this lasts."),
    ),
    "rpc-disagree": (
        N_("Two endpoints of the chain contradict each other."),
        N_("Nothing new is believed until they agree. Name a third one, or take out the one you do not trust."),
    ),
    "rpc-lies": (
        N_("This endpoint said what the chain does not have."),
        N_("It is not asked any more. Take it out of the settings."),
    ),
    "rpc-range": (N_("The chain's endpoint gives too little at a time."), N_("Use another endpoint.")),
    "wrong-chain": (N_("This endpoint serves another chain."), N_("Correct its address in the settings.")),
    "contracts-missing": (N_("This chain has no Halle contracts."), N_("Choose another chain in the settings file.")),
    "bad-multiaddr": (
        N_("This is not a peer's address."),
        N_("It begins with /ip4/ and ends with /p2p/ and the peer's name."),
    ),
    "mailboxes-too-many": (N_("These are too many mailboxes."), N_("Two or three that are always on are enough.")),
    "mailbox-unknown": (N_("This is none of your mailboxes."), N_("Look at the list.")),
    "own-address": (N_("This is this node's own address."), N_("Give another peer's.")),
    "image-format": (
        N_("This file is not a picture we can use."),
        N_("Use a JPEG, PNG or WebP file of at most 20 MB."),
    ),
    "image-damaged": (N_("This picture is damaged."), N_("Save it again or take another one.")),
    "photos-too-many": (N_("This product has too many photos."), N_("Remove one first.")),
    "handle-invalid": (N_("This address in the shop cannot be used."), N_("Use small letters, digits and hyphens.")),
    "profile-invalid": (N_("The shop has no name."), N_("Give it one.")),
    "product-invalid": (N_("Something in the form is missing or wrong."), N_("Check the fields and send it again.")),
    "file-empty": (N_("The file is empty."), N_("Choose another one.")),
    "file-unreadable": (N_("The file cannot be read."), N_("Save it as CSV, UTF-8, and try again.")),
    "columns-missing": (N_("Columns are missing in the file."), N_("Export it again with all columns.")),
    "file-too-long": (N_("The file has too many lines."), N_("Split it into smaller files.")),
    "stock-below-promised": (N_("More pieces are promised than that."), N_("Count again, or decline an order first.")),
    "disk-full": (N_("The disk is full."), N_("Free some space and try again; nothing was lost.")),
    "chain-unavailable": (N_("The chain cannot be reached."), N_("Orders wait safely; try again in a moment.")),
    "peer-unreachable": (
        N_("This peer cannot be reached."),
        N_("Check the address and that the other node is running."),
    ),
    "kubo-down": (
        N_("The IPFS daemon does not answer."),
        N_("Start it and end other ipfs commands that hold its repository; it is asked again by itself."),
    ),
    "kubo-slow": (N_("The IPFS daemon takes too long."), N_("It is asked again by itself.")),
    "kubo-full": (N_("The IPFS daemon has no room left."), N_("Free some space there, or raise its StorageMax.")),
    "kubo-locked": (N_("The IPFS daemon’s repository is locked."), N_("End the other ipfs command that holds it.")),
    "kubo-auth": (
        N_("The IPFS daemon refuses us."),
        N_("Compare HALLE_KUBO_AUTH with API.Authorizations in the daemon’s settings."),
    ),
    "kubo-wrong-cid": (
        N_("The IPFS daemon calls our content by other names."),
        N_("Do not use this daemon: it, or something on the way to it, changes what it is given."),
    ),
    "kubo-version": (N_("The IPFS daemon is too old."), N_("Install a current Kubo.")),
    "kubo-answer": (
        N_("What answers there is no IPFS daemon."),
        N_("Check that kubo_api is the address of a Kubo RPC."),
    ),
    "kubo-call-gone": (
        N_("This version of the IPFS daemon does not know a call that is needed."),
        N_("Install a current Kubo, or set kubo_client to aiohttp."),
    ),
    "kubo-failed": (N_("The IPFS daemon could not do it."), N_("Its own log says more; it is asked again by itself.")),
    "kubo-name-behind": (
        N_("The shop’s name already leads further."),
        N_("Another machine has published under this key; use one machine for one shop."),
    ),
}


QUOTE_PARTS = {
    "merchant": N_("who is paid"),
    "buyer": N_("who pays"),
    "token": N_("the token"),
    "amount": N_("the amount"),
    "arbiter": N_("who decides a dispute"),
    "backup_arbiter": N_("who decides if the first stays silent"),
    "arbiter_fee_bps": N_("the fee for deciding"),
    "default_buyer_bps": N_("your share if nobody decides"),
    "valid_until": N_("until when it can be paid"),
    "accept_within": N_("the time to accept"),
    "ship_within": N_("the time to ship"),
    "deliver_within": N_("the time to deliver"),
    "inspect_within": N_("your time to inspect"),
    "arbiter_within": N_("the time to decide a dispute"),
    "carrier": N_("the carrier whose word counts"),
    "delivery_code": N_("your delivery code"),
    "proof_required": N_("whether delivery must be proven"),
    "order_hash": N_("what was ordered"),
    "order_document": N_("what was ordered"),
    "chain_id": N_("the chain"),
    "escrow": N_("the escrow contract"),
    "currency": N_("the currency"),
    "subtotal": N_("the price of the goods"),
    "shipping": N_("the price of the delivery"),
    "tax": N_("the tax"),
    "total": N_("the total"),
}


def quote_parts(names: Iterable[str], say: Callable[[str], str]) -> list[str]:
    """Name the parts of a quote that differ from what was ordered, each once."""
    return list(dict.fromkeys(say(QUOTE_PARTS.get(name, name)) for name in names))


def problem(code: str, say: Callable[[str], str]) -> str:
    """What is wrong, for a code; a code without words is shown as it is."""
    title, hint = ERROR_WORDS.get(code, (code, ""))
    return f"{say(title)} {say(hint) if hint else ''}".strip() if code else ""


def badge(table: dict[str, Badge], status: str) -> Badge:
    """The badge of a status; an unknown one is shown as it is."""
    key = str(status)
    return table.get(key) or table.get(key.replace("-", "_")) or Badge("plain", "info", key or "–")


ACCESS_KINDS = {"peer": N_("peer"), "store": N_("shop"), "net": N_("address")}
"""What a rule of the operator is about."""


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
    def endpoint(value: str) -> Badge:
        return badge(ENDPOINT, value)

    @staticmethod
    def message_state(value: str) -> Badge:
        return badge(MESSAGE_STATE, value)

    @staticmethod
    def message_kind(value: str) -> str:
        """What a message is about: the part of its type before the slash."""
        return MESSAGE_KINDS.get(value.partition("/")[0], value)

    @staticmethod
    def transaction(value: str) -> Badge:
        return badge(TRANSACTION, value)

    @staticmethod
    def reach_state(value: str) -> Badge:
        return badge(REACH, value)

    @staticmethod
    def reach_step(value: str) -> str:
        return REACH_STEPS[value]

    @staticmethod
    def kubo(value: str) -> Badge:
        return badge(KUBO, value)

    @staticmethod
    def checkpoint(value: str) -> str:
        return CHECKPOINT.get(value, value)

    @staticmethod
    def record(value: str) -> str:
        return RECORD.get(value, value)

    @staticmethod
    def finding(name: str, good: bool) -> str:
        return FINDINGS.get((name, good), name)

    @staticmethod
    def certificate(value: str) -> Badge:
        return badge(CERTIFICATE, value)

    @staticmethod
    def cover(value: str) -> Badge:
        return badge(COVER, value)

    @staticmethod
    def access_kind(value: str) -> str:
        return ACCESS_KINDS.get(value, value)


def notice(code: str) -> str:
    """The sentence for `?done=code`; only our own sentences can be shown this way."""
    return NOTICES.get(code, "")


KEPT = {
    "edition": N_("Your shop as published"),
    "edition-before": N_("Your last edition, for those still fetching it"),
    "publishing": N_("Being published now"),
    "shop": N_("Shop"),
    "drafts": N_("Pictures of drafts and changes that can be undone"),
    "orders": N_("Listings of open orders"),
    "other": N_("Pin"),
}
"""Why content is kept."""

TIMELINE = {
    "requested": N_("The buyer asked for a quote."),
    "quoted": N_("The shop signed a quote."),
    "contradicted": N_("The shop signed another quote than what was ordered. It is kept as evidence."),
    "declined": N_("The shop declined. %(reason)s"),
    "cancelled": N_("The buyer cancelled. %(reason)s"),
    "funded": N_("The buyer paid %(amount)s into the escrow."),
    "offered": N_("The buyer paid %(amount)s into the escrow and waits for the shop to accept."),
    "accepted": N_("The shop accepted the order."),
    "shipment": N_("The shop handed the parcel to %(carrier)s %(tracking)s"),
    "shipped": N_("The parcel is on its way."),
    "checkpoint": N_("The carrier reported: %(status)s"),
    "delivered": N_("Delivered."),
    "received": N_("The buyer said that it arrived."),
    "paid": N_("Paid out: %(to_merchant)s to the shop, %(to_buyer)s to the buyer."),
    "closed": N_("The order is closed."),
    "disputed": N_("The arbiter was asked."),
    "evidence": N_("Evidence: %(text)s"),
    "escalated": N_("The second arbiter was asked."),
    "proposal": N_("A split was proposed. %(note)s"),
    "settlement-accepted": N_("The split was accepted."),
    "settled": N_("Both sides agreed on a split."),
    "reviewed": N_("The buyer wrote a review."),
    "chat": N_("A message: %(text)s"),
    "warranty": N_("The shop announced a warranty certificate."),
    "warranty-registered": N_("A warranty certificate over %(amount)s was registered."),
    "claim-asked": N_("The buyer claims on the warranty: %(text)s"),
    "claimed": N_("A warranty claim over %(amount)s was opened."),
    "claim-accepted": N_("The claim was answered with yes."),
    "repair-offered": N_("A repair or replacement was offered: %(note)s"),
    "claim-contested": N_("The claim was contested: %(note)s"),
    "repair-accepted": N_("The repair was accepted."),
    "repair-lapsed": N_("The offer of a repair ended unanswered."),
    "claim-ruled": N_("The arbiter ruled the claim: %(amount)s."),
    "warranty-ended": N_("The warranty certificate ended."),
    "return-requested": N_("The buyer wants to send something back. %(reason)s"),
    "return-approved": N_("The shop takes it back. %(note)s"),
    "return-declined": N_("The shop declined the return. %(note)s"),
    "return-cancelled": N_("The buyer keeps it after all."),
    "return-sent": N_("The return is on its way. %(carrier)s %(tracking)s"),
    "return-received": N_("The return has arrived at the shop. %(note)s"),
    "sent-again": N_("The shop sent another parcel. %(carrier)s %(tracking)s"),
    "deliverable": N_("The shop handed over: %(name)s"),
    "deliverable-asked": N_("The buyer asked for the files again."),
    "handed-to-carrier": N_("The carrier was told of the parcel."),
    "case-evidence": N_("Evidence was sent to the arbiter."),
    "case-question": N_("The arbiter asks: %(text)s"),
    "case-ruling": N_("The arbiter's reasons: %(text)s"),
    "claim-paid": N_("The warranty paid %(amount)s."),
    "left-at-mailbox": N_("The other node is away: a message waits for it at the mailbox …%(mailbox)s."),
    "transaction-on-its-way": N_("A transaction is on its way."),
    "transaction-failed": N_("A transaction failed. %(error)s"),
}


def sentence(key: str, params: Mapping[str, object], say: Callable[[str], str]) -> str:
    """One line of an order's history, "timeline.funded" and its values, in the reader's language."""
    key = key.removeprefix("timeline.")
    text = TIMELINE.get(key)
    if text is None:
        return key.replace("-", " ").replace("_", " ").capitalize()
    values = {name: "" if value is None else str(value) for name, value in params.items()}
    return (say(text) % defaultdict(str, values)).strip()
