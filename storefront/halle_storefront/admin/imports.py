"""Import: first a dry run with a verdict for every line, then the same file for real, then a way back."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from aiohttp import web

from halle_node.catalog.report import ImportReport
from halle_protocol.errors import Refused

from ..forms import read_form, see_other
from ..i18n import N_
from ..local_pages import admin_page, here
from ..node_access import node_of

SHOWN_ROWS = 500
KEPT_FILES = 3

# A checked file waits here for "apply"; only the newest few, only until the node stops.
WAITING: web.AppKey[OrderedDict[str, bytes]] = web.AppKey("waiting_imports", OrderedDict)
VERDICT_ORDER = ("error", "warning", "skipped", "created", "updated")


async def ask(request: web.Request) -> web.Response:
    return admin_page(request, "admin/import.html", report=None, shown_rows=(), file_id="")


async def check(request: web.Request) -> web.Response:
    form = await read_form(request)
    files = form.files_of("file")
    if not files:
        raise Refused(N_("No file was chosen."), code="form-invalid", hint=N_("Choose a CSV file and send it again."))
    data = files[0].file.read()
    report = await node_of(request).catalog.import_csv(data, dry_run=True)
    waiting, file_id = request.app[WAITING], secrets.token_urlsafe(16)
    waiting[file_id] = data
    while len(waiting) > KEPT_FILES:
        waiting.popitem(last=False)
    return _report_page(request, report, file_id)


async def apply(request: web.Request) -> web.Response:
    data = request.app[WAITING].pop(request.match_info["file_id"], None)
    if data is None:
        raise Refused(
            N_("This file is no longer waiting."), code="import-gone", hint=N_("Choose it again; the check is quick.")
        )
    report = await node_of(request).catalog.import_csv(data, dry_run=False)
    return _report_page(request, report, "")


async def undo(request: web.Request) -> web.Response:
    text = request.match_info["import_id"]
    if not (text.isascii() and text.isdigit()):
        raise web.HTTPNotFound
    await node_of(request).catalog.undo_import(int(text))
    return see_other(here(request, "/admin/products?done=import-undone"))


def _report_page(request: web.Request, report: ImportReport, file_id: str) -> web.Response:
    order = {verdict: place for place, verdict in enumerate(VERDICT_ORDER)}
    rows = sorted(report.rows, key=lambda row: (order.get(row.verdict, 9), row.line))
    return admin_page(request, "admin/import.html", report=report, shown_rows=rows[:SHOWN_ROWS], file_id=file_id)
