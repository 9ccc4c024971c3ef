"""A whole EVM chain in one small process, for development and for markets of one machine.

Rule: what the chain has accepted it never forgets; every answer to a transaction comes after its journal
line is on the disk. Run it with `python -m halle_node.chain.embedded --data DIR --port PORT`.
"""

from __future__ import annotations

# Registered nowhere else; wallets show it as "Halle embedded".
CHAIN_ID = 31415926
DEFAULT_PORT = 8545
