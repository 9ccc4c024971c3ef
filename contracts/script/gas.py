"""Measure what each step costs on a fresh in-process chain, print it and write docs/gas.md: `make bench-gas`.

Steady state: balances, allowances and credits are warm from earlier orders; quotes are past `validUntil` when the
order closes, as they are in life. Gas includes the 21,000 of a transaction, its calldata, and refunds. The same
bytecode gives the same figures on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_tester import EthereumTester, PyEVMBackend

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from gas_table import NATIVE as COIN
from gas_table import PLAIN, PROXY, Figures, page

from contracts.evm_market import (
    ARBITER,
    BACKUP,
    BUYER,
    CARRIER,
    CODE,
    DAY,
    MERCHANT,
    NATIVE,
    OPERATOR,
    START,
    STRANGER,
    UNDERWRITER,
    Account,
    Market,
    Receipt,
    fixture_code,
    text,
    word,
)
from halle_contracts import decode_result, encode_call, shipment_id, terms_tuple
from halle_protocol.keys import keccak256
from halle_protocol.signing import sign
from halle_protocol.terms import Terms, settlement_digest

GAS_PAGE = Path(__file__).resolve().parents[2] / "docs" / "gas.md"
HASH = b"\x5a" * 32
MANY = 10
PERMIT = b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
RECEIVE = (
    b"ReceiveWithAuthorization(address from,address to,uint256 value,"
    b"uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)


class ChainMarket(Market):
    """The same market on py-evm, whose transactions start with cold storage as on a real chain."""

    def __init__(self) -> None:
        self.tester = EthereumTester(PyEVMBackend())
        people = (MERCHANT, BUYER, ARBITER, BACKUP, CARRIER, OPERATOR, STRANGER, UNDERWRITER)
        self.rich = self.tester.get_accounts()[0]
        for person in people:
            self.tester.add_account("0x" + person.private.hex())
            self.give(NATIVE, person.address, 10**18)
        super().__init__(chain_id=131277322940537)
        implementation = self.deploy(fixture_code("ProxiedToken"))
        arguments = implementation.rjust(32, b"\0") + (b"\xad" * 20).rjust(32, b"\0")
        self.moneys = {PLAIN: self.token, PROXY: self.deploy(fixture_code("ProxyToken") + arguments), COIN: NATIVE}

    def _set_time(self) -> None:
        if self.now > START or self.tester.get_block_by_number()["timestamp"] < START:
            self.tester.time_travel(self.now)

    def deploy(self, code: bytes) -> bytes:
        receipt = self._transact({"from": text(STRANGER.address), "data": text(code), "gas": 7_000_000})
        return bytes.fromhex(receipt["contract_address"][2:])

    def give(self, token: bytes, to: bytes, amount: int) -> None:
        if token == NATIVE:
            self._transact({"from": self.rich, "to": text(to), "value": amount, "gas": 21_000})
        else:
            super().give(token, to, amount)

    def send(
        self, sender: bytes, to: bytes, data: bytes, *, value: int = 0, gas: int | None = None, name: str = "Escrow"
    ) -> Receipt:
        call = {"from": text(sender), "to": text(to), "data": text(data), "value": value, "gas": gas or 2_000_000}
        receipt = self._transact(call)
        assert receipt["status"] == 1, (name, call)
        return Receipt(b"", receipt["gas_used"], [])

    def read(self, name: str, to: bytes, function: str, *args: object) -> Any:
        data = encode_call(name, function, *args)
        call = {"from": text(STRANGER.address), "to": text(to), "data": text(data), "gas": 2_000_000}
        return decode_result(name, function, bytes.fromhex(self.tester.call(call)[2:]))

    def _transact(self, call: dict[str, Any]) -> dict[str, Any]:
        fees = {"max_fee_per_gas": 2 * 10**9, "max_priority_fee_per_gas": 1}
        return dict(self.tester.get_transaction_receipt(self.tester.send_transaction(call | fees)))


def measure() -> Figures:
    """Return gas by step and money."""
    market = ChainMarket()
    market.call(MERCHANT.address, "setOperator", OPERATOR.address, market.now + 1_000 * DAY)
    figures: Figures = {}
    for money, token in market.moneys.items():
        market.token = token
        _warm_up(market)
        for step, gas in _steps(market).items():
            figures.setdefault(step, {})[money] = gas
    return figures


def _steps(market: Market) -> dict[str, int]:
    gas: dict[str, int] = {}
    parts: list[Callable[[Market, dict[str, int]], None]] = [_happy, _offers, _ends, _batch, _deliveries, _disputes]
    if market.token != NATIVE:
        parts.insert(1, _signed_money)
    for part in [*parts, _warranties]:
        part(market, gas)
    return gas


def _warm_up(market: Market) -> None:
    for person in (MERCHANT, BUYER, ARBITER):
        market.give(market.token, person.address, 10**9)
    market.fund(_simple(market))  # stays open, so that the escrow's own balance is never zero


def _simple(market: Market) -> Terms:
    """The order most people have: an arbiter, no proof of delivery."""
    return market.terms(backup_arbiter=NATIVE, carrier=NATIVE, delivery_code=bytes(32))


def _shipped(market: Market, terms: Terms) -> None:
    market.fund(terms)
    market.do(MERCHANT, "ship", terms, HASH)


def _happy(market: Market, gas: dict[str, int]) -> None:
    for suffix, make in (("", _simple), (", every field of the terms used", Market.terms)):
        terms = make(market)
        gas["fund" + suffix] = market.fund(terms).gas_used
        gas["ship" + suffix] = market.do(MERCHANT, "ship", terms, HASH).gas_used
        market.wait(DAY)
        gas["release" + suffix] = market.do(BUYER, "release", terms, terms.amount).gas_used
    terms = _simple(market)
    gas["fund, operator's signature"] = market.fund(terms, market.signature(terms, OPERATOR)).gas_used


def _signed_money(market: Market, gas: dict[str, int]) -> None:
    """The second of two: the nonce and the allowance are warm by then."""
    for _ in range(2):
        terms = _simple(market)
        market.give(market.token, BUYER.address, terms.amount)
        nonce = market.read("TestToken", market.token, "nonces", BUYER.address)
        deadline = market.now + DAY
        words = (BUYER.address, market.escrow, word(terms.amount), word(nonce), word(deadline))
        args = (terms_tuple(terms), market.signature(terms), deadline, *_token_signature(market, PERMIT, words))
        gas["fundWithPermit"] = market.call(BUYER.address, "fundWithPermit", *args).gas_used
    for _ in range(2):
        terms = _simple(market)
        market.give(market.token, BUYER.address, terms.amount)
        until = market.now + DAY
        amount, order_id = word(terms.amount), market.order_id(terms)
        words = (BUYER.address, market.escrow, amount, word(0), word(until), order_id)
        signed = _token_signature(market, RECEIVE, words)
        args = (terms_tuple(terms), market.signature(terms), BUYER.address, 0, until, *signed)
        relayed = market.call(STRANGER.address, "fundWithAuthorization", *args)
        gas["fundWithAuthorization, relayed"] = relayed.gas_used


def _token_signature(market: Market, type_text: bytes, words: tuple[bytes, ...]) -> tuple[int, bytes, bytes]:
    domain = market.read("TestToken", market.token, "DOMAIN_SEPARATOR")
    struct = keccak256(keccak256(type_text) + b"".join(part.rjust(32, b"\0") for part in words))
    sig = sign(BUYER.private, keccak256(b"\x19\x01" + domain + struct))
    return sig[64], sig[:32], sig[32:64]


def _offers(market: Market, gas: dict[str, int]) -> None:
    terms = _simple(market)
    gas["fund, as offer"] = market.fund(terms, b"").gas_used
    gas["accept"] = market.do(MERCHANT, "accept", terms).gas_used
    terms = _simple(market)
    market.fund(terms, b"")
    market.wait(3 * DAY)
    gas["lapse"] = market.do(BUYER, "lapse", terms).gas_used


def _ends(market: Market, gas: dict[str, int]) -> None:
    terms = _simple(market)
    market.fund(terms)
    gas["refund, before validUntil"] = market.do(MERCHANT, "refund", terms, terms.amount).gas_used
    terms = _simple(market)
    _shipped(market, terms)
    market.wait(DAY)
    gas["refund"] = market.do(MERCHANT, "refund", terms, terms.amount).gas_used
    gas["settle, merchant sends"] = _settled(market, MERCHANT)
    gas["settle, relayed"] = _settled(market, STRANGER)
    terms = _simple(market)
    market.fund(terms)
    market.wait(4 * DAY)
    gas["reclaim"] = market.do(BUYER, "reclaim", terms).gas_used


def _settled(market: Market, by: Account) -> int:
    terms = _simple(market)
    _shipped(market, terms)
    market.wait(DAY)
    share = terms.amount // 2
    digest = settlement_digest(market.order_id(terms), share, 0, market.chain_id, market.escrow)
    merchant_sig = b"" if by is MERCHANT else sign(MERCHANT.private, digest)
    return market.do(by, "settle", terms, share, sign(BUYER.private, digest), merchant_sig).gas_used


def _batch(market: Market, gas: dict[str, int]) -> None:
    orders = [_simple(market) for _ in range(MANY)]
    single = _simple(market)
    for terms in [*orders, single]:
        _shipped(market, terms)
    market.wait(15 * DAY)
    gas["claim"] = market.do(STRANGER, "claim", single).gas_used
    batch = [terms_tuple(terms) for terms in orders]
    receipt = market.call(STRANGER.address, "claimMany", batch, [BUYER.address] * MANY)
    gas[f"claimMany, per order of {MANY}"] = receipt.gas_used // MANY


def _deliveries(market: Market, gas: dict[str, int]) -> None:
    terms = market.terms()
    _shipped(market, terms)
    gas["deliver, by code"] = market.do(STRANGER, "deliver", terms, CODE).gas_used
    terms = market.terms()
    _shipped(market, terms)
    parcel = shipment_id(market.order_id(terms), HASH)
    attest = encode_call("DeliveryTracking", "attest", parcel, 6, market.now, HASH)
    gas["attest, first of a shipment"] = market.send(CARRIER.address, market.tracking, attest).gas_used
    gas["deliver, by carrier"] = market.do(STRANGER, "deliverByCarrier", terms, HASH).gas_used


def _disputes(market: Market, gas: dict[str, int]) -> None:
    terms = _disputed(market, _simple(market), gas)
    gas["rule, three payees"] = market.do(ARBITER, "rule", terms, 5_000).gas_used
    gas["dispute and rule"] = gas["dispute"] + gas["rule, three payees"]
    terms = _disputed(market, replace(_simple(market), backup_arbiter=BACKUP.address), {})
    market.wait(7 * DAY)
    gas["escalate"] = market.do(BUYER, "escalate", terms).gas_used
    market.wait(8 * DAY)
    gas["closeByDefault"] = market.do(BUYER, "closeByDefault", terms).gas_used


def _disputed(market: Market, terms: Terms, gas: dict[str, int]) -> Terms:
    _shipped(market, terms)
    gas["dispute"] = market.do(BUYER, "dispute", terms, HASH).gas_used
    market.wait(DAY)
    return terms


def _warranties(market: Market, gas: dict[str, int]) -> None:
    """The second of two: bond and holder are known by then."""
    for number in range(2):
        market.give(market.token, UNDERWRITER.address, 1_000)
        if market.token != NATIVE:
            approve = encode_call("TestToken", "approve", market.warranty, 2**255)
            market.send(UNDERWRITER.address, market.token, approve)
        value = 1_000 if market.token == NATIVE else 0
        gas["warranty: deposit"] = _insure(market, UNDERWRITER, "deposit", market.token, 1_000, value=value)
        certificate = _certificate(market, number)
        gas["warranty: register"] = _insure(market, UNDERWRITER, "register", certificate)
        named = market.read("Warranty", market.warranty, "idOf", certificate)
        gas["warranty: openClaim"] = _insure(market, BUYER, "openClaim", named, 100, HASH)
        gas["warranty: acceptClaim"] = _insure(market, UNDERWRITER, "acceptClaim", named)


def _insure(market: Market, by: Account, function: str, *args: object, value: int = 0) -> int:
    data = encode_call("Warranty", function, *args)
    return market.send(by.address, market.warranty, data, value=value, name="Warranty").gas_used


def _certificate(market: Market, number: int) -> dict[str, object]:
    return {
        "underwriter": UNDERWRITER.address,
        "holder": BUYER.address,
        "token": market.token,
        "cover": 400,
        "premium": 0,
        "startsAt": market.now,
        "endsAt": market.now + 365 * DAY,
        "respondWithin": 5 * DAY,
        "arbiter": ARBITER.address,
        "arbiterWithin": 7 * DAY,
        "orderId": HASH,
        "itemHash": word(number),
        "serialHash": bytes(32),
        "termsHash": HASH,
    }


def main() -> int:
    """Print the page and write it."""
    written = page(measure())
    GAS_PAGE.write_text(written, encoding="utf-8")
    print(written)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
