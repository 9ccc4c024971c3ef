"""A market in one in-process EVM: the three contracts, tokens, and the people of an order."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pyrevm import EVM, BlockEnv, CfgEnv, Env

import halle_contracts
from halle_protocol.keys import ZERO_ADDRESS, address_of, keccak256
from halle_protocol.signing import sign
from halle_protocol.terms import Terms

CHAIN_ID = 31337
START = 4_000_000_000  # ahead of any real clock
HOUR, DAY = 3_600, 86_400
BLOCK_GAS = 30_000_000
NATIVE = ZERO_ADDRESS
FIXTURES = Path(__file__).parent / "fixtures"
CODE = b"0123456789abcdef"


class Reverted(Exception):
    """A call failed; `name` and `facts` are the contract's error."""

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        super().__init__(name, facts)
        self.name = name
        self.facts = facts


@dataclass(frozen=True)
class Receipt:
    output: bytes
    gas_used: int
    events: list[tuple[str, dict[str, Any]]]

    def event(self, name: str) -> dict[str, Any]:
        found = [facts for event, facts in self.events if event == name]
        assert len(found) == 1, self.events
        return found[0]


@dataclass(frozen=True)
class Account:
    name: str
    private: bytes = field(repr=False)

    @cached_property
    def address(self) -> bytes:
        return address_of(self.private)


def account(name: str) -> Account:
    return Account(name, keccak256(b"halle test account " + name.encode()))


MERCHANT, BUYER, ARBITER, BACKUP = (account(name) for name in ("merchant", "buyer", "arbiter", "backup"))
CARRIER, OPERATOR, STRANGER, UNDERWRITER = (
    account(name) for name in ("carrier", "operator", "stranger", "underwriter")
)


def text(address: bytes) -> str:
    return "0x" + address.hex()


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def fixture_code(name: str) -> bytes:
    return bytes.fromhex(json.loads((FIXTURES / f"{name}.json").read_text())["bytecode"][2:])


class Market:
    """Calls are transactions: they commit, or raise `Reverted` and leave nothing."""

    def __init__(self, chain_id: int = CHAIN_ID) -> None:
        self.chain_id = chain_id
        env = Env(cfg=CfgEnv(chain_id=chain_id))
        self.evm = EVM(env=env, gas_limit=BLOCK_GAS, spec_id="CANCUN")
        self.now = START
        self._set_time()
        self.tracking = self.deploy(halle_contracts.encode_constructor("DeliveryTracking"))
        self.escrow = self.deploy(halle_contracts.encode_constructor("Escrow", self.tracking))
        self.warranty = self.deploy(halle_contracts.encode_constructor("Warranty", self.escrow))
        self.token = self.deploy(halle_contracts.encode_constructor("TestToken", "Test euro", "TEUR", 6))
        self.funded: list[tuple[Terms, bytes]] = []
        self._serial = 0

    # ── the chain ───────────────────────────────────────────────────────────────────────────────────────────

    def _set_time(self) -> None:
        self.evm.set_block_env(BlockEnv(timestamp=self.now, number=1, gas_limit=BLOCK_GAS))

    def wait(self, seconds: int) -> None:
        self.now += seconds
        self._set_time()

    def until(self, time: int) -> None:
        self.wait(time - self.now)

    def deploy(self, code: bytes) -> bytes:
        return bytes.fromhex(self.evm.deploy(text(STRANGER.address), code)[2:])

    def give(self, token: bytes, to: bytes, amount: int) -> None:
        if token == NATIVE:
            self.evm.set_balance(text(to), self.evm.get_balance(text(to)) + amount)
        else:
            self.send(STRANGER.address, token, halle_contracts.encode_call("TestToken", "mint", to, amount))

    def balance(self, token: bytes, of: bytes) -> int:
        if token == NATIVE:
            return int(self.evm.get_balance(text(of)))
        return int(self.read("TestToken", token, "balanceOf", of))

    def send(
        self, sender: bytes, to: bytes, data: bytes, *, value: int = 0, gas: int | None = None, name: str = "Escrow"
    ) -> Receipt:
        try:
            output = self.evm.message_call(text(sender), text(to), data, value=value, gas=gas)
        except RuntimeError as exc:
            raise _reverted(name, str(exc)) from None
        finally:
            self.evm.reset_transient_storage()  # else it would outlive the transaction
        result = self.evm.result
        return Receipt(bytes(output), result.gas_used, _events(name, result.logs))

    def read(self, name: str, to: bytes, function: str, *args: object) -> Any:
        data = halle_contracts.encode_call(name, function, *args)
        return halle_contracts.decode_result(name, function, self.send(STRANGER.address, to, data, name=name).output)

    # ── the escrow ──────────────────────────────────────────────────────────────────────────────────────────

    def terms(self, **changes: Any) -> Terms:
        """Return fresh terms with every window in days."""
        self._serial += 1
        normal = Terms(
            merchant=MERCHANT.address,
            buyer=BUYER.address,
            token=self.token,
            amount=1_000_000,
            arbiter=ARBITER.address,
            backup_arbiter=BACKUP.address,
            arbiter_fee_bps=200,
            default_buyer_bps=5_000,
            valid_until=self.now + HOUR,
            accept_within=2 * DAY,
            ship_within=3 * DAY,
            deliver_within=10 * DAY,
            inspect_within=4 * DAY,
            arbiter_within=7 * DAY,
            carrier=CARRIER.address,
            delivery_code=keccak256(CODE),
            proof_required=False,
            order_hash=keccak256(b"order %d" % self._serial),
        )
        return replace(normal, **changes)

    def signature(self, terms: Terms, by: Account = MERCHANT) -> bytes:
        return sign(by.private, terms.digest(self.chain_id, self.escrow))

    def buyer_of(self, terms: Terms) -> bytes:
        return terms.buyer if terms.buyer != ZERO_ADDRESS else BUYER.address

    def order_id(self, terms: Terms) -> bytes:
        return terms.order_id(self.chain_id, self.escrow, self.buyer_of(terms))

    def supply(self, terms: Terms, payer: bytes = BUYER.address) -> None:
        """Give the payer the money and the allowance it needs."""
        self.give(terms.token, payer, terms.amount)
        self.allow(terms.token, payer)

    def allow(self, token: bytes, payer: bytes = BUYER.address) -> None:
        """Let the escrow take any amount of a payer's tokens."""
        if token != NATIVE:
            self.send(payer, token, halle_contracts.encode_call("TestToken", "approve", self.escrow, 2**256 - 1))

    def fund(self, terms: Terms, sig: bytes | None = None, *, sender: bytes = BUYER.address) -> Receipt:
        """Fund with the merchant's signature, or with `sig` (empty for an offer)."""
        self.supply(terms, sender)
        signed = self.signature(terms) if sig is None else sig
        value = terms.amount if terms.token == NATIVE else 0
        receipt = self.call(sender, "fund", halle_contracts.terms_tuple(terms), signed, value=value)
        self.funded.append((terms, self.buyer_of(terms)))
        return receipt

    def call(self, sender: bytes, function: str, *args: object, value: int = 0) -> Receipt:
        return self.send(sender, self.escrow, halle_contracts.encode_call("Escrow", function, *args), value=value)

    def do(self, by: Account | bytes, function: str, terms: Terms, *args: object) -> Receipt:
        """Call a function of one order."""
        sender = by.address if isinstance(by, Account) else by
        return self.call(sender, function, halle_contracts.terms_tuple(terms), self.buyer_of(terms), *args)

    def status(self, terms: Terms) -> str:
        return halle_contracts.STATUS[self.order(terms)["status"]]

    def order(self, terms: Terms) -> dict[str, int]:
        return dict(self.read("Escrow", self.escrow, "orders", self.order_id(terms)))

    def credit(self, token: bytes, of: bytes) -> int:
        return int(self.read("Escrow", self.escrow, "credits", token, of))

    def check_solvent(self) -> None:
        """Assert the first law for every token that was ever funded."""
        for token in {terms.token for terms, _ in self.funded}:
            owed = sum(self._held(terms) for terms, _ in self.funded if terms.token == token)
            people = {party for terms, buyer in self.funded for party in (terms.merchant, buyer, terms.arbiter)}
            people |= {terms.backup_arbiter for terms, _ in self.funded}
            owed += sum(self.credit(token, person) for person in people)
            assert self.balance(token, self.escrow) == owed

    def _held(self, terms: Terms) -> int:
        order = self.order(terms)
        gone = order["status"] in (0, halle_contracts.STATUS.index("Closed"))
        return 0 if gone else terms.amount - order["paidOut"]


def _events(name: str, logs: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    found = (halle_contracts.decode_event(name, log.data[0], log.data[1]) for log in logs)
    return [event for event in found if event is not None]


def _reverted(name: str, message: str) -> Reverted:
    output = re.search(r"output: 0x([0-9a-f]*)", message)
    if output is None:
        return Reverted("Halted", {"message": message})
    return Reverted(*halle_contracts.decode_revert(name, bytes.fromhex(output[1])))
