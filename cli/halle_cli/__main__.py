"""`python -m halle_cli` is `halle`."""

from __future__ import annotations

from halle_cli.main import run

if __name__ == "__main__":
    run()
