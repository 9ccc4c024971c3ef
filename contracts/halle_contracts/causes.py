"""What a contract's error means to a person: our kebab-case code and the next step, for every error of the ABIs.

A refusal by a contract has the code `reverted`; the codes here are its `cause`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from halle_contracts.codec import decode_revert


@dataclass(frozen=True)
class Cause:
    """Why a contract refused. Shape: `name` and `args` as in Solidity; `code` is ours."""

    code: str
    hint: str
    name: str = ""
    args: dict[str, Any] | None = None


UNKNOWN: Final = ("contract-unknown-error", "See the order's state and deadlines.")
_TOKEN: Final = ("token-refused", "The token did not move the money: check its balance, allowance and any block on it.")
_SIGNATURE: Final = ("contract-bad-signature", "Have it signed again, by the right account, for this order and chain.")
_TRANSFER: Final = ("certificate-transfer-refused", "Check who holds the certificate and who it goes to.")

CAUSES: Final[dict[str, tuple[str, str]]] = {
    # the escrow
    "WrongStatus": ("wrong-status", "The order has moved on; look at it again."),
    "NotAuthorised": ("not-authorised", "Only another party of the order may do this; see its next actions."),
    "BadSignature": _SIGNATURE,
    "BadTerms": ("bad-terms", "The escrow never takes such terms; ask for a new quote."),
    "TooEarly": ("too-early", "Wait until the window is over, then try again."),
    "TooLate": ("too-late", "The window is over; see the order's next actions."),
    "BadAmount": ("bad-amount", "Name an amount above zero and no more than is available."),
    "WrongCode": ("wrong-delivery-code", "Ask the recipient for the delivery code again."),
    "NotDelivered": ("not-delivered", "Wait until the carrier named in the terms has attested delivery."),
    "BadNonce": ("bad-nonce", "The signature was used already, or another one comes first; sign with the next number."),
    "LengthMismatch": ("length-mismatch", "Give as many buyers as terms."),
    # money in and out
    "WrongPayment": ("wrong-payment", "Send exactly the amount; tokens that take a fee on transfer cannot be used."),
    "NothingToWithdraw": ("nothing-to-withdraw", "There is no credit for this account and token."),
    "PushFailed": ("receiver-refused", "Withdraw to another address."),
    "Reentered": ("reentered", "The token or the receiver calls back; it cannot be used this way."),
    "SafeERC20FailedOperation": _TOKEN,
    # delivery tracking
    "UnknownStatus": ("unknown-checkpoint", "Use one of the eight status codes."),
    "BadTime": ("bad-time", "Set the clock right; a relayed checkpoint must be newer than the last."),
    # warranty
    "WrongClaimStatus": ("wrong-claim-status", "The certificate has moved on; look at it again."),
    "BadCertificate": ("bad-certificate", "The contract never takes such a certificate; correct the field."),
    "ERC721IncorrectOwner": _TRANSFER,
    "ERC721InsufficientApproval": _TRANSFER,
    "ERC721InvalidApprover": _TRANSFER,
    "ERC721InvalidOperator": _TRANSFER,
    "ERC721InvalidOwner": _TRANSFER,
    "ERC721InvalidReceiver": _TRANSFER,
    "ERC721InvalidSender": _TRANSFER,
    "ERC721NonexistentToken": ("certificate-unknown", "There is no such certificate."),
    # a court as an arbiter
    "AlreadyAsked": ("court-already-asked", "The court has the case; wait for its ruling."),
    "NotDue": ("court-not-due", "The order does not wait for this arbiter; look at it again."),
    "NotRuling": ("court-no-ruling", "Wait until the court has ruled; each ruling is carried out once."),
    "WrongOrder": ("court-wrong-order", "Give the terms and the buyer of the case's own order."),
    # tokens (the test token's; most real ones are built of the same parts)
    "ERC20InsufficientAllowance": ("token-allowance", "Allow the escrow to take the amount, then try again."),
    "ERC20InsufficientBalance": ("token-balance", "Get more of the token, then try again."),
    "ERC20InvalidApprover": _TOKEN,
    "ERC20InvalidReceiver": _TOKEN,
    "ERC20InvalidSender": _TOKEN,
    "ERC20InvalidSpender": _TOKEN,
    "ERC2612ExpiredSignature": _SIGNATURE,
    "ERC2612InvalidSigner": _SIGNATURE,
    "ERC3009InvalidAuthorizationTime": _SIGNATURE,
    "ERC3009InvalidSignature": _SIGNATURE,
    "ERC3009UsedAuthorization": _SIGNATURE,
    "InvalidAccountNonce": _SIGNATURE,
    "ECDSAInvalidSignature": _SIGNATURE,
    "ECDSAInvalidSignatureLength": _SIGNATURE,
    "ECDSAInvalidSignatureS": _SIGNATURE,
    "InvalidShortString": UNKNOWN,
    "StringTooLong": UNKNOWN,
    "SafeCastOverflowedUintDowncast": UNKNOWN,
    # the compiler's own
    "Error": ("contract-refused", "The reason is the contract's own words."),
    "Panic": ("contract-panic", "Report this: the contract met a state that should not be."),
}
"""Our code and hint by the name of the Solidity error."""


def cause_of(contract: str, revert_data: bytes) -> Cause:
    """Return why a contract refused; an error nobody knows has the code of `UNKNOWN`."""
    name, args = decode_revert(contract, revert_data)
    code, hint = CAUSES.get(name, UNKNOWN)
    return Cause(code, hint, name, args)
