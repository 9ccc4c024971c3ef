"""What the chain itself says of every order, read past the nodes: the judge of what they did."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from halle_contracts import decode_call, decode_event, encode_call
from halle_protocol.keys import to_checksum

ONCE = ("Funded", "Accepted", "Shipped", "Delivered", "Disputed", "Escalated", "Closed")


@dataclass
class Fate:
    """One order on chain. Units: the token's smallest."""

    buyer: str = ""
    merchant: str = ""
    total: int = 0
    events: Counter[str] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)

    @property
    def held(self) -> int:
        """What the escrow owes for it."""
        return self.total - self.paid.total()


class Chain:
    """A chain's JSON-RPC, asked without a node."""

    def __init__(self, rpc_url: str, escrow: str) -> None:
        self._url = rpc_url
        self._escrow = escrow

    def ask(self, method: str, *params: Any) -> Any:
        """Return the result of one request."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["result"]

    def fates(self, first_block: int = 0) -> dict[str, Fate]:
        """Return every order that was ever funded, by its id, as far as it happened in or after a block."""
        found: dict[str, Fate] = {}
        wanted = {"address": self._escrow, "fromBlock": hex(first_block), "toBlock": "latest"}
        for log in self.ask("eth_getLogs", wanted):
            event = decode_event("Escrow", [_bytes(topic) for topic in log["topics"]], _bytes(log["data"]))
            if event is not None and "orderId" in event[1]:
                _note(found.setdefault("0x" + event[1]["orderId"].hex(), Fate()), *event)
        return found

    def acts_until(self, merchant: str, operator: str) -> int:
        """Return until when somebody acts for a merchant; 0 = never. Units: unix seconds."""
        data = encode_call("Escrow", "operatorUntil", merchant, operator)
        return int(self.ask("eth_call", {"to": self._escrow, "data": "0x" + data.hex()}, "latest"), 16)

    def calls(self, senders: Iterable[str]) -> list[tuple[str, bool]]:
        """Return every transaction of these accounts to the escrow: the function with its order, whether it worked."""
        wanted, found = {sender.lower() for sender in senders}, []
        for number in range(int(self.ask("eth_blockNumber"), 16) + 1):
            for tx in self.ask("eth_getBlockByNumber", hex(number), True)["transactions"]:
                if tx["from"].lower() not in wanted or (tx["to"] or "").lower() != self._escrow.lower():
                    continue
                receipt = self.ask("eth_getTransactionReceipt", tx["hash"])
                found.append((_named(_bytes(tx["input"])), receipt["status"] == "0x1"))
        return found


def _note(fate: Fate, name: str, args: dict[str, Any]) -> None:
    fate.events[name] += 1
    if name == "Funded":
        fate.buyer, fate.merchant = to_checksum(args["buyer"]), to_checksum(args["merchant"])
        fate.total = int(args["amount"])
    elif name == "Paid":
        for who in ("buyer", "merchant", "arbiter"):
            fate.paid[who] += int(args[f"to{who.capitalize()}"])


def _named(calldata: bytes) -> str:
    call = decode_call("Escrow", calldata)
    if call is None:
        return "unknown"
    name, args = call
    terms = args.get("t")
    return f"{name} {terms['orderHash'].hex()[:12]}" if isinstance(terms, dict) else name


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
