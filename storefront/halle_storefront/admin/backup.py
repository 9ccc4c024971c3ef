"""The back-up card of the settings: start one, watch it, see when the last was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web

from ..forms import read_form, see_other
from ..local_pages import here
from ..node_access import ServedNode, node_of

RUNNING = ("packing", "checking")
FILE_NAME = "halle-backup.halle"


def card(node: ServedNode) -> dict[str, Any]:
    """What the card shows."""
    state = node.backup.state()
    suggested = state.last.path if state.last else str(Path.home() / FILE_NAME)
    return {"backup": state, "backup_running": state.state in RUNNING, "backup_file": state.path or suggested}


def is_due(node: ServedNode) -> bool:
    """Say whether the owner should be reminded: there is something to lose and no fresh back-up."""
    return node.backup.is_due() and (node.catalog.product_count() > 0 or bool(node.trade.orders(limit=1)))


async def start(request: web.Request) -> web.Response:
    """Begin a back-up into a file on this machine."""
    form = await read_form(request)
    node_of(request).backup.start(Path(form.text("file")))
    return see_other(here(request, "/admin/settings#backup"))
