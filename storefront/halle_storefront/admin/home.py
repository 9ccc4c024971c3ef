"""Today: a to-do list first, figures below, set-up steps until the shop can take money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from halle_node.trade.views import OrderSummary, Todo

from ..i18n import N_, language_of, translations
from ..local_pages import admin_page
from ..node_access import ServedNode, node_of
from . import backup

RECENT = 5
LOOKED_AT = 50


@dataclass(frozen=True)
class Step:
    """One thing between a new shop and its first sale."""

    title: str
    why: str
    href: str
    icon: str
    done: bool


async def today(request: web.Request) -> web.Response:
    node = node_of(request)
    todo, orders = node.trade.todo(), node.trade.orders(role="merchant")
    steps = setup_steps(node)
    deadlines = [order.deadline_at for order in todo.to_pack if order.deadline_at]
    profile = node.catalog.profile()
    return admin_page(
        request,
        "admin/home.html",
        todo=todo,
        pack_until=min(deadlines, default=None),
        low_titles=", ".join(item.title for item in todo.low_stock[:4]),
        first_name=profile.name,
        steps=steps,
        steps_left=sum(not step.done for step in steps),
        backup_due=backup.is_due(node),
        last_backup=node.backup.last(),
        has_products=node.catalog.current_head() is not None,
        figures=figures(request, node, orders, todo),
        recent=orders[:RECENT],
    )


def setup_steps(node: ServedNode) -> list[Step]:
    catalog = node.catalog
    profile = catalog.profile()
    return [
        Step(
            N_("Describe your shop"),
            N_("A few words about who you are and what you make."),
            "/admin/settings#profile",
            "store",
            any(profile.about.values()),
        ),
        Step(
            N_("Add your first product"),
            N_("A photo, a title, a price; or import a file."),
            "/admin/products/new",
            "tag",
            catalog.product_count() > 0,
        ),
        Step(
            N_("Say where you deliver"),
            N_("Countries, prices and days."),
            "/admin/settings#shipping",
            "truck",
            bool(catalog.shipping().zones),
        ),
        Step(
            N_("Publish"),
            N_("Signs your catalogue and tells your peers."),
            "/admin/products",
            "publish",
            any(product.published for product in catalog.products(page_size=LOOKED_AT)),
        ),
    ]


def figures(request: web.Request, node: ServedNode, orders: list[OrderSummary], todo: Todo) -> list[tuple[Any, str]]:
    say = translations(language_of(request)).gettext
    open_orders = [order for order in orders if order.status not in ("closed", "declined", "cancelled")]
    return [
        (len(open_orders), say(N_("open orders"))),
        (sum(order.status == "closed" for order in orders), say(N_("finished orders"))),
        (node.catalog.product_count(), say(N_("products"))),
        (len(node.network.peers()), say(N_("peers connected"))),
    ]
