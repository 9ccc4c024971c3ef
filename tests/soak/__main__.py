"""`make soak`: the long runs. `python tests/soak [--minutes N] [ROOM …]` divides the minutes among the rooms.

A room is a module beside this one with `soak(seconds: float) -> None`: it makes work until the time is over, prints
what it did, and raises on the first failure, with what repeats it (a seed).
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
ROOMS = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def main() -> int:
    """Run the named rooms, or all; return 1 if one failed."""
    parser = argparse.ArgumentParser(
        prog="make soak", description="The long runs that find what a test has no time for."
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long in all (default 60)")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"which of them (default all): {', '.join(ROOMS)}")
    told = parser.parse_args()
    unknown = set(told.rooms) - set(ROOMS)
    if unknown:
        parser.error(f"there is no room {', '.join(sorted(unknown))}; there are: {', '.join(ROOMS)}")
    rooms = told.rooms or ROOMS
    failed = [room for room in rooms if not run(room, told.minutes * 60 / len(rooms))]
    print(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    return 1 if failed else 0


def run(room: str, seconds: float) -> bool:
    """Say whether a room held."""
    print(f"── {room}, {seconds / 60:.0f} min ──", flush=True)
    began = time.monotonic()
    try:
        importlib.import_module(f"soak.{room}").soak(seconds)
    except Exception:
        traceback.print_exc()
        return False
    finally:
        print(f"   {(time.monotonic() - began) / 60:.1f} min", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
