"""The first market day, told live: three nodes, one chain, real orders."""
