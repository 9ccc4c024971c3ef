"""The `halle` command."""
