"""The merchant's and buyer's node: blocks, network, chain, index, trade and their storage."""
