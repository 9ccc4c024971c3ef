"""Print what each step costs, on a fresh in-process chain: `python contracts/script/gas.py`.

Steady state: balances, allowances and credits are warm from earlier orders; quotes are past `validUntil` when the
order closes, as they are in life. Gas includes the 21,000 of a transaction, its calldata, and refunds.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_tester import EthereumTester, PyEVMBackend

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

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
    Market,
    Receipt,
    text,
)
from halle_contracts import encode_call, shipment_id, terms_tuple
from halle_protocol.terms import Terms

BARS = {"fund": 80_000, "ship": 35_000, "release": 47_000, "claimMany, per order of 10": 17_000}
HASH = b"\x5a" * 32


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

    def _transact(self, call: dict[str, Any]) -> dict[str, Any]:
        fees = {"max_fee_per_gas": 2 * 10**9, "max_priority_fee_per_gas": 1}
        return dict(self.tester.get_transaction_receipt(self.tester.send_transaction(call | fees)))


def measure() -> dict[str, int]:
    """Return gas by step."""
    market = ChainMarket()
    _warm_up(market)
    gas: dict[str, int] = {}
    _plain(market, gas)
    _variants(market, gas)
    _batch(market, gas)
    _deliveries(market, gas)
    _disputes(market, gas)
    return gas


def _warm_up(market: Market) -> None:
    for token in (market.token, NATIVE):
        for person in (MERCHANT, BUYER, ARBITER):
            market.give(token, person.address, 10**9)
        market.fund(market.terms(token=token))  # stays open, so that the escrow's own balance is never zero
    market.call(MERCHANT.address, "setOperator", OPERATOR.address, market.now + 1_000 * DAY)


def _shipped(market: Market, terms: Terms) -> None:
    market.fund(terms)
    market.do(MERCHANT, "ship", terms, HASH)


def _plain(market: Market, gas: dict[str, int]) -> None:
    """The order most people have: an ERC-20 token, an arbiter, no proof of delivery."""
    for suffix, make in (("", _simple), (", every field used", Market.terms)):
        terms = make(market)
        gas["fund" + suffix] = market.fund(terms).gas_used
        gas["ship" + suffix] = market.do(MERCHANT, "ship", terms, HASH).gas_used
        market.wait(DAY)
        gas["release" + suffix] = market.do(BUYER, "release", terms, terms.amount).gas_used


def _simple(market: Market) -> Terms:
    return market.terms(backup_arbiter=NATIVE, carrier=NATIVE, delivery_code=bytes(32))


def _variants(market: Market, gas: dict[str, int]) -> None:
    terms = replace(_simple(market), token=NATIVE)
    gas["fund, native coin"] = market.fund(terms).gas_used
    market.do(MERCHANT, "ship", terms, HASH)
    market.wait(DAY)
    gas["release, native coin"] = market.do(BUYER, "release", terms, terms.amount).gas_used
    terms = _simple(market)
    gas["fund, operator's signature"] = market.fund(terms, market.signature(terms, OPERATOR)).gas_used
    gas["refund, before validUntil"] = market.do(MERCHANT, "refund", terms, terms.amount).gas_used
    terms = _simple(market)
    gas["fund as offer"] = market.fund(terms, b"").gas_used
    gas["accept"] = market.do(MERCHANT, "accept", terms).gas_used


def _batch(market: Market, gas: dict[str, int]) -> None:
    orders = [_simple(market) for _ in range(10)]
    for terms in orders:
        _shipped(market, terms)
    single = _simple(market)
    _shipped(market, single)
    market.wait(15 * DAY)
    gas["claim"] = market.do(STRANGER, "claim", single).gas_used
    batch = [terms_tuple(terms) for terms in orders]
    receipt = market.call(STRANGER.address, "claimMany", batch, [BUYER.address] * 10)
    gas["claimMany, per order of 10"] = receipt.gas_used // 10


def _deliveries(market: Market, gas: dict[str, int]) -> None:
    terms = market.terms()
    _shipped(market, terms)
    gas["deliver by code"] = market.do(STRANGER, "deliver", terms, CODE).gas_used
    terms = market.terms()
    _shipped(market, terms)
    parcel = shipment_id(market.order_id(terms), HASH)
    attest = encode_call("DeliveryTracking", "attest", parcel, 6, market.now, HASH)
    gas["attest (first)"] = market.send(CARRIER.address, market.tracking, attest).gas_used
    gas["deliver by carrier"] = market.do(STRANGER, "deliverByCarrier", terms, HASH).gas_used


def _disputes(market: Market, gas: dict[str, int]) -> None:
    terms = market.terms()
    _shipped(market, terms)
    gas["dispute"] = market.do(BUYER, "dispute", terms, HASH).gas_used
    market.wait(DAY)
    gas["rule, three payees"] = market.do(ARBITER, "rule", terms, 5_000).gas_used


def main() -> int:
    """Print the table, with the bars of the design."""
    for step, used in measure().items():
        bar = BARS.get(step)
        verdict = "" if bar is None else f"bar {bar:,}: {(used - bar) / bar:+.1%}"
        print(f"{step:30} {used:>9,}  {verdict}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
