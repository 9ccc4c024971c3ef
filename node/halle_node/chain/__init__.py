"""The chain as the node sees it: requests, contracts, transactions out, events in.

Names are loaded when first used, because the embedded chain's process needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from halle_node.chain.accounts import AccountSignatures
    from halle_node.chain.client import ChainClient, Fees
    from halle_node.chain.contracts import Contracts, deploy_contracts
    from halle_node.chain.deployment import court_arbiter
    from halle_node.chain.dev import dev_advance, dev_faucet, dev_is_embedded
    from halle_node.chain.outbox import Outbox
    from halle_node.chain.process import EmbeddedChain
    from halle_node.chain.records import (
        Block,
        ChainEvent,
        Depths,
        Finality,
        Log,
        Receipt,
        TxStatus,
    )
    from halle_node.chain.watcher import Watcher

_HOMES = {
    "accounts": ("AccountSignatures",),
    "client": ("ChainClient", "Fees"),
    "contracts": ("Contracts", "deploy_contracts"),
    "deployment": ("court_arbiter",),
    "dev": ("dev_advance", "dev_faucet", "dev_is_embedded"),
    "outbox": ("Outbox",),
    "process": ("EmbeddedChain",),
    "records": ("Block", "ChainEvent", "Depths", "Finality", "Log", "Receipt", "TxStatus"),
    "watcher": ("Watcher",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AccountSignatures",
    "Block",
    "ChainClient",
    "ChainEvent",
    "Contracts",
    "Depths",
    "EmbeddedChain",
    "Fees",
    "Finality",
    "Log",
    "Outbox",
    "Receipt",
    "TxStatus",
    "Watcher",
    "court_arbiter",
    "deploy_contracts",
    "dev_advance",
    "dev_faucet",
    "dev_is_embedded",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
