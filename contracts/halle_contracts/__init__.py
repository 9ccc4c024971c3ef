"""The compiled contracts: ABI, bytecode and addresses as Python values."""
