"""Roles for others: the arbiter's cases, the carrier's parcels, the underwriter's certificates, and the offers."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

from aiohttp import web

from halle_node.catalog.profile import ProfileForm, ServiceForm
from halle_node.trade.views import BondView
from halle_protocol.errors import HalleError, Unavailable

from ..failures import Problem, describe
from ..forms import Form, read_form, see_other, token_units, whole_number
from ..i18n import N_, language_of
from ..local_pages import admin_page, here
from ..moves import decimals_of, read_move
from ..node_access import ServedNode, node_of
from ..order_files import file_of

ROLES = (
    ("arbiter", N_("Arbiter"), N_("You decide disputes between buyers and shops, for a share of what is in dispute.")),
    ("carrier", N_("Carrier"), N_("You carry parcels; your record of the delivery counts as its proof.")),
    (
        "underwriter",
        N_("Underwriter"),
        N_("You insure what others buy, and back the warranties you issue, with a bond of your own."),
    ),
)
CHECKPOINTS = (
    ("accepted", N_("Taken over")),
    ("in-transit", N_("On its way")),
    ("out-for-delivery", N_("Out for delivery")),
    ("ready-for-pickup", N_("Ready to be picked up")),
    ("failed-attempt", N_("Nobody there")),
    ("delivered", N_("Delivered")),
    ("returned", N_("Sent back")),
    ("exception", N_("Something went wrong")),
)
DAY_S = 86_400


async def overview(request: web.Request) -> web.Response:
    node = node_of(request)
    for subject in (*(paper.name for paper in node.trade.certificates("underwriter")), *_asked(request)):
        await node.notify.seen(subject)
    return await _page(request)


def _asked(request: web.Request) -> list[str]:
    return [cover.key for cover in node_of(request).trade.covers("underwriter")]


async def _page(request: web.Request, wrong: Problem | None = None) -> web.Response:
    node = node_of(request)
    profile = node.catalog.profile()
    return admin_page(
        request,
        "admin/roles.html",
        status=wrong.status if wrong else 200,
        wrong=wrong,
        roles=ROLES,
        offers=profile.services,
        terms={role: profile.policies.get(f"service-{role}", {}).get(profile.language, "") for role, _, _ in ROLES},
        language=profile.language,
        cases=node.trade.orders(role="arbiter"),
        parcels=node.trade.carrying.parcels() if "carrier" in profile.services else [],
        checkpoints=CHECKPOINTS,
        certificates=node.trade.certificates("underwriter"),
        covers=node.trade.covers("underwriter"),
        bonds=(bonds := await _bonds(request)),
        limits=_shown_limits(profile, bonds),
        records={role: own_record(request, role) for role, _, _ in ROLES if role in profile.services},
    )


async def _bonds(request: web.Request) -> list[BondView]:
    """Our bonds; none while the chain does not answer."""
    with suppress(Unavailable):
        return await node_of(request).trade.bonding.bonds()
    return []


def own_record(request: web.Request, role: str) -> dict[str, int]:
    """What the chain says of our own work."""
    mine = [offer for offer in node_of(request).trade.services.offers(role) if offer.own]
    return dict(mine[0].record) if mine else {}


async def offer(request: web.Request) -> web.Response:
    """Take on a role, or change its terms."""
    node, role, form = node_of(request), request.match_info["role"], await read_form(request)
    profile = node.catalog.profile()
    about = {profile.language: form.text("about")} if form.text("about") else {}
    try:
        if form.text("then") == "withdraw":
            await node.trade.services.withdraw(role)
        else:
            wanted = ServiceForm(
                about=about,
                fee_bps=token_units(form.text("fee") or "0", 2),
                respond_within_s=whole_number(form.text("days") or "7") * DAY_S,
                languages=tuple(dict.fromkeys((profile.language, *profile.languages))),
                limits=node.trade.services.limits_of(_limits(node, form)) if role == "underwriter" else (),
                max_days=whole_number(form.text("max_days") or "0"),
            )
            await node.trade.services.offer(role, wanted, form.text("terms"))
    except HalleError as error:
        return await _page(request, describe(error, language_of(request)))
    return see_other(here(request, f"/admin/roles?done=saved#{role}"))


def _limits(node: ServedNode, form: Form) -> dict[str, int]:
    """The form's limits by token symbol, in smallest units; an empty one is no limit at all, and left out."""
    tokens = node.chain.contracts.tokens
    return {name: token_units(text, tokens[name][1]) for name in tokens if (text := form.text(f"limit-{name}"))}


def _shown_limits(profile: ProfileForm, bonds: list[BondView]) -> dict[str, str]:
    """The published limits as their form shows them."""
    offer, shown = profile.services.get("underwriter"), {}
    known = {each.token: each for each in bonds}
    for limit in offer.limits if offer else ():
        if found := known.get(limit.token):
            shown[found.token_symbol] = f"{Decimal(limit.most).scaleb(-found.token_decimals).normalize():f}"
    return shown


async def attest(request: web.Request) -> web.Response:
    """Record a checkpoint of a parcel."""
    form = await read_form(request)
    carrying = node_of(request).trade.carrying
    await carrying.attest(request.match_info["shipment"], form.text("status"), form.text("place"), form.text("text"))
    return see_other(here(request, "/admin/roles?done=done#parcels"))


async def case(request: web.Request) -> web.Response:
    return admin_page(request, "admin/case.html", order=node_of(request).trade.order(request.match_info["key"]))


async def act_on_case(request: web.Request) -> web.Response:
    """Make one move on a case, then show it again."""
    trade = node_of(request).trade
    key, action = request.match_info["key"], request.match_info["action"]
    form = await read_form(request)
    await trade.act(key, action, **read_move(action, form, decimals_of(trade.order(key))))
    return see_other(here(request, f"/admin/roles/cases/{key}?done=done"))


async def case_file(request: web.Request) -> web.Response:
    """A photo of a bundle."""
    return await file_of(request)


async def act_on_certificate(request: web.Request) -> web.Response:
    """Make one move on a certificate that we back."""
    trade = node_of(request).trade
    name, action = request.match_info["name"], request.match_info["action"]
    form = await read_form(request)
    await trade.act(name, action, **read_move(action, form, trade.certificate(name).token_decimals))
    return see_other(here(request, "/admin/roles?done=done#certificates"))
