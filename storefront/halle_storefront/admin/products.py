"""Products: the shelf as the merchant sees it, and the form to change one thing on it."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from halle_node.catalog.product import KINDS, PROOFS, ProductDetail, ProductForm, ProductSummary
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError

from .. import words
from ..failures import Problem, describe
from ..forms import read_form, see_other, whole_number
from ..i18n import language_of, translations
from ..local_pages import PAGE_SIZE, admin_page, here, page_number, paging
from ..node_access import ServedNode, node_of
from .product_form import EMPTY_ROWS, VariantRow, read_product, rows_of

LOW_STOCK_QUERY = "stock:low"
MAX_PENDING = 500


async def listing(request: web.Request) -> web.Response:
    node = node_of(request)
    q = request.query.get("q", "").strip()[:200]
    number = page_number(request)
    low = q == LOW_STOCK_QUERY
    found = low_products(node) if low else node.catalog.products(q, number, page_size=PAGE_SIZE)
    total = len(found) if low else node.catalog.product_count(q)
    return admin_page(
        request,
        "admin/products.html",
        products=found,
        q=q,
        undo=request.query.get("undo", "") if request.query.get("done") == "removed" else "",
        pending=pending_changes(node),
        problems=node.catalog.problems(),
        low_stock=node.config.low_stock,
        **paging(request, total, PAGE_SIZE),
    )


def low_products(node: ServedNode) -> list[ProductSummary]:
    handles = dict.fromkeys(level.handle for level in node.catalog.low_stock())
    return [product for product in node.catalog.products(page_size=MAX_PENDING) if product.handle in handles]


def pending_changes(node: ServedNode) -> int:
    """How many products differ from what is public, looking at the newest ones."""
    newest = node.catalog.products(page_size=MAX_PENDING)
    return sum(product.changed or (product.status == "active" and not product.published) for product in newest)


async def blank(request: web.Request) -> web.Response:
    language = node_of(request).catalog.profile().language
    return _form_page(request, ProductForm(title="", language=language), None, rows_of((), {}))


async def edit(request: web.Request) -> web.Response:
    detail = node_of(request).catalog.product(request.match_info["handle"])
    stock = {level.sku: level for level in detail.stock}
    return _form_page(request, detail.form, detail, rows_of(detail.form.variants, stock))


def _form_page(
    request: web.Request,
    form: ProductForm,
    detail: ProductDetail | None,
    rows: list[VariantRow],
    wrong: Problem | None = None,
) -> web.Response:
    say = translations(language_of(request)).gettext
    first = form.variants[0] if form.variants else None
    return admin_page(
        request,
        "admin/product.html",
        status=wrong.status if wrong else 200,
        form=form,
        detail=detail,
        rows=rows + [VariantRow()] * EMPTY_ROWS,
        wrong=wrong,
        action=request.path,
        currency=first.price.currency if first else node_of(request).catalog.profile().currency,
        tracked=first.tracked if first else True,
        oversell=first.oversell if first else False,
        kinds=[(kind, say(words.KINDS[kind])) for kind in KINDS],
        digital=node_of(request).trade.digital.shelf(detail.handle) if detail else [],
        proofs=[(proof, say(words.PROOFS[proof])) for proof in PROOFS],
    )


async def create(request: web.Request) -> web.Response:
    return await _save(request, None)


async def save(request: web.Request) -> web.Response:
    return await _save(request, node_of(request).catalog.product(request.match_info["handle"]))


async def _save(request: web.Request, detail: ProductDetail | None) -> web.Response:
    node = node_of(request)
    posted = await read_form(request)
    old = detail.form if detail else ProductForm(title="", language=node.catalog.profile().language)
    form, rows, wrong = read_product(posted, old, node.catalog.profile().currency)
    then = posted.text("then")
    form = replace(form, status="draft" if then == "draft" else "active")
    if wrong is None:
        try:
            handle = await node.catalog.save_product(form)
        except HalleError as error:
            wrong = error
        else:
            if then == "publish":
                return await publish(request)
            return see_other(here(request, f"/admin/products/{handle}?done=saved"))
    return _form_page(request, form, detail, rows, describe(wrong, language_of(request)))


async def add_photos(request: web.Request) -> web.Response:
    handle = request.match_info["handle"]
    catalog = node_of(request).catalog
    form = await read_form(request)
    for file in form.files_of("photo"):
        await catalog.add_photo(handle, file.filename, file.file.read(), form.text("alt"))
    return see_other(here(request, f"/admin/products/{handle}?done=photo-added#photos"))


async def add_digital(request: web.Request) -> web.Response:
    """Put licence keys, a file or a text on the shelf that buyers are served from."""
    handle, form = request.match_info["handle"], await read_form(request)
    shelf, again = node_of(request).trade.digital, form.whole("again", 3)
    sku = form.text("sku")
    if form.text("licences"):
        await shelf.add_licences(handle, sku, form.text("licences").splitlines(), again)
    for file in form.files_of("file"):
        await shelf.add_file(handle, sku, file.filename, file.content_type, file.file.read(), again)
    if form.text("text"):
        await shelf.add_text(handle, sku, form.text("name"), form.text("text"), again)
    return see_other(here(request, f"/admin/products/{handle}?done=saved#digital"))


async def remove_digital(request: web.Request) -> web.Response:
    handle = request.match_info["handle"]
    await node_of(request).trade.digital.remove(whole_number(request.match_info["id"]))
    return see_other(here(request, f"/admin/products/{handle}?done=saved#digital"))


async def remove_photo(request: web.Request) -> web.Response:
    handle = request.match_info["handle"]
    await node_of(request).catalog.remove_photo(handle, CID.parse(request.match_info["cid"]))
    return see_other(here(request, f"/admin/products/{handle}?done=saved#photos"))


async def remove(request: web.Request) -> web.Response:
    handle = request.match_info["handle"]
    await node_of(request).catalog.remove_product(handle)
    return see_other(here(request, f"/admin/products?done=removed&undo={handle}"))


async def restore(request: web.Request) -> web.Response:
    handle = request.match_info["handle"]
    await node_of(request).catalog.restore(handle)
    return see_other(here(request, f"/admin/products/{handle}?done=restored"))


async def publish(request: web.Request) -> web.Response:
    """Publish everything that changed; the node tells its peers."""
    node = node_of(request)
    result = await node.catalog.publish()
    return admin_page(request, "admin/published.html", result=result)
