"""How deep a block must lie before it counts, chain by chain.

Safe is what a shop ships on: deeper than forks go while the chain is well. Final is what is settled on: deeper than
what the chain itself calls final, where it does, counted in its blocks.
Source: Ethereum and Gnosis finalise within three epochs (32 blocks of 12 s, 16 of 5 s); roll-ups once their batch is
in a final block of Ethereum, some 20 minutes (blocks of 2 s, Arbitrum's of 0.25 s); payment services ask 12
confirmations on Ethereum and 128 on Polygon, which forked 157 blocks deep in 2023; 15 is customary on BNB Chain.
"""

from __future__ import annotations

from collections.abc import Mapping

from halle_node.chain.records import Depths

UNKNOWN_CHAIN = Depths(safe=3, final=64)
# One writer, no forks, and no block follows until somebody acts.
LOCAL = Depths(safe=1, final=1)
_ETHEREUM, _OPTIMISM, _ARBITRUM = Depths(12, 96), Depths(10, 600), Depths(40, 4_800)
_POLYGON, _GNOSIS, _BNB = Depths(128, 256), Depths(12, 48), Depths(15, 64)

CHAINS: Mapping[int, tuple[str, Depths]] = {
    1: ("Ethereum", _ETHEREUM),
    11_155_111: ("Sepolia", _ETHEREUM),
    560_048: ("Hoodi", _ETHEREUM),
    10: ("OP Mainnet", _OPTIMISM),
    11_155_420: ("OP Sepolia", _OPTIMISM),
    8_453: ("Base", _OPTIMISM),
    84_532: ("Base Sepolia", _OPTIMISM),
    42_161: ("Arbitrum One", _ARBITRUM),
    421_614: ("Arbitrum Sepolia", _ARBITRUM),
    137: ("Polygon PoS", _POLYGON),
    80_002: ("Polygon Amoy", _POLYGON),
    100: ("Gnosis", _GNOSIS),
    10_200: ("Gnosis Chiado", _GNOSIS),
    56: ("BNB Smart Chain", _BNB),
    97: ("BNB testnet", _BNB),
    31_337: ("anvil, hardhat", LOCAL),
    1_337: ("ganache, geth --dev", LOCAL),
}


def usual_depths(chain_id: int, *, is_embedded: bool) -> Depths:
    """Return the depths of a chain that nobody set any for."""
    return LOCAL if is_embedded else CHAINS.get(chain_id, ("", UNKNOWN_CHAIN))[1]
