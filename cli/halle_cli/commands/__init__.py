"""One module a group of commands; each command makes one call on a node and prints the answer."""
