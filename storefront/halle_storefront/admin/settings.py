"""Settings: the shop's own card, delivery rates and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from halle_node.catalog.product import handle_of
from halle_node.catalog.profile import RateForm, ShippingForm, ZoneForm
from halle_node.trade.rules import AcceptRules
from halle_protocol.errors import HalleError, Refused

from ..failures import Problem, describe
from ..forms import Form, money, read_form, see_other, whole_number
from ..i18n import LANGUAGES, N_, language_of
from ..local_pages import admin_page, here
from ..node_access import node_of
from ..words import POLICIES
from . import backup
from .mail_settings import mail_context, read_mail

WEEK = (
    N_("Monday"),
    N_("Tuesday"),
    N_("Wednesday"),
    N_("Thursday"),
    N_("Friday"),
    N_("Saturday"),
    N_("Sunday"),
)
POLICY_KINDS = ("terms", "returns", "privacy", "legal")
EMPTY_RATES = 2


@dataclass(frozen=True)
class RateRow:
    """One delivery rate as typed."""

    countries: str = ""
    name: str = ""
    price: str = ""
    free_over: str = ""
    days: str = ""
    id: str = ""


async def show(request: web.Request) -> web.Response:
    return page_with(request)


def page_with(request: web.Request, wrong: Problem | None = None) -> web.Response:
    catalog = node_of(request).catalog
    profile = catalog.profile()
    return admin_page(
        request,
        "admin/settings.html",
        status=wrong.status if wrong else 200,
        wrong=wrong,
        profile=profile,
        rates=rate_rows(catalog.shipping(), profile.language) + [RateRow()] * EMPTY_RATES,
        mailbox_states=node_of(request).messages.mailboxes(),
        arbiters=node_of(request).trade.services.offers("arbiter"),
        carriers=node_of(request).trade.services.offers("carrier"),
        rules=node_of(request).trade.accept_rules(),
        week=WEEK,
        **backup.card(node_of(request)),
        policy_kinds=[(kind, POLICIES[kind]) for kind in POLICY_KINDS],
        **mail_context(node_of(request)),
    )


def rate_rows(form: ShippingForm, language: str) -> list[RateRow]:
    return [
        RateRow(
            countries=", ".join(zone.countries),
            name=rate.name.get(language) or next(iter(rate.name.values()), ""),
            price=rate.price.text(),
            free_over=rate.free_over.text() if rate.free_over else "",
            days=f"{rate.days_min}-{rate.days_max}",
            id=rate.id,
        )
        for zone in form.zones
        for rate in zone.rates
    ]


async def save_profile(request: web.Request) -> web.Response:
    catalog, form = node_of(request).catalog, await read_form(request)
    old = catalog.profile()
    about = {lang: form.text(f"about_{lang}") for lang in LANGUAGES if form.text(f"about_{lang}")}
    language = form.text("language") if form.text("language") in LANGUAGES else old.language
    try:
        await catalog.save_profile(
            replace(
                old,
                name=form.text("name"),
                email=form.text("email"),
                country=form.text("country"),
                currency=form.text("currency").upper(),
                language=language,
                languages=tuple(dict.fromkeys((language, *about))),
                about=about,
                shop_url=form.text("shop_url"),
            )
        )
    except HalleError as error:
        return page_with(request, describe(error, language_of(request)))
    return see_other(here(request, "/admin/settings?done=saved"))


async def save_shipping(request: web.Request) -> web.Response:
    catalog, form = node_of(request).catalog, await read_form(request)
    profile = catalog.profile()
    try:
        await catalog.save_shipping(read_shipping(form, profile.currency, profile.language))
    except HalleError as error:
        return page_with(request, describe(error, language_of(request)))
    return see_other(here(request, "/admin/settings?done=saved#shipping"))


def read_shipping(form: Form, currency: str, language: str) -> ShippingForm:
    """Lines with the same countries become one zone."""
    columns = [
        form.texts(name) for name in ("countries", "rate_name", "rate_price", "rate_free", "rate_days", "rate_id")
    ]
    zones: dict[tuple[str, ...], list[RateForm]] = {}
    for cells in zip(*columns, strict=False):
        row = RateRow(*cells)
        if not row.countries and not row.name:
            continue
        codes = tuple(code.strip().upper() for code in row.countries.split(",") if code.strip()) or ("*",)
        known = {rate.id for rates in zones.values() for rate in rates}
        zones.setdefault(codes, []).append(_rate(row, currency, language, known))
    return ShippingForm(zones=tuple(ZoneForm(codes, tuple(rates)) for codes, rates in zones.items()))


def _rate(row: RateRow, currency: str, language: str, known: set[str]) -> RateForm:
    if not row.name or not row.price:
        raise Refused(
            N_("A delivery line needs a name and a price."), code="form-invalid", hint=N_("Write 0 if it is free.")
        )
    shortest, _, longest = row.days.replace("–", "-").partition("-")
    days_min = whole_number(shortest) if shortest.strip() else 1
    rate_id = row.id or handle_of(row.name) or "rate"
    while rate_id in known:
        rate_id += "-2"
    return RateForm(
        id=rate_id,
        name={language: row.name},
        price=money(row.price, currency),
        free_over=money(row.free_over, currency) if row.free_over else None,
        days_min=days_min,
        days_max=whole_number(longest) if longest.strip() else max(days_min, 1),
    )


async def save_mailboxes(request: web.Request) -> web.Response:
    """Name the mailboxes and publish the card at once: whoever writes to the shop must know."""
    node, form = node_of(request), await read_form(request)
    try:
        await node.catalog.save_mailboxes(form.text("mailboxes").split())
    except HalleError as error:
        return page_with(request, describe(error, language_of(request)))
    await node.catalog.publish(products=False)
    node.messages.visit_mailboxes()
    return see_other(here(request, "/admin/settings?done=saved#mailboxes"))


async def save_policies(request: web.Request) -> web.Response:
    catalog, form = node_of(request).catalog, await read_form(request)
    profile = catalog.profile()
    policies: dict[str, Mapping[str, str]] = dict(profile.policies)
    for kind in POLICY_KINDS:
        text = form.text(f"policy_{kind}")
        if text:
            policies[kind] = {**policies.get(kind, {}), profile.language: text}
        else:
            policies.pop(kind, None)
    await catalog.save_profile(replace(profile, policies=policies))
    return see_other(here(request, "/admin/settings?done=saved#policies"))


async def save_parties(request: web.Request) -> web.Response:
    """Name who decides and who carries in future orders, and publish it."""
    node, form = node_of(request), await read_form(request)
    named = {name: form.text(f"{name}_other") or form.text(name) for name in ("arbiter", "backup", "carrier")}
    try:
        await node.trade.services.choose(**named)
    except HalleError as error:
        return page_with(request, describe(error, language_of(request)))
    return see_other(here(request, "/admin/settings?done=published#parties"))


async def save_rules(request: web.Request) -> web.Response:
    """Keep what the node may accept alone."""
    node, form = node_of(request), await read_form(request)
    currency = node.catalog.profile().currency
    try:
        limit = form.text("max_total")
        codes = form.text("countries").replace(",", " ").upper().split()
        await node.trade.set_accept_rules(
            AcceptRules(
                enabled=form.ticked("enabled"),
                max_total_minor=money(limit, currency).amount_minor if limit else None,
                countries=tuple(codes),
                days=tuple(sorted({whole_number(day) for day in form.texts("days")})),
                opens=form.text("opens"),
                closes=form.text("closes"),
                time_zone=form.text("time_zone"),
            )
        )
    except HalleError as error:
        return page_with(request, describe(error, language_of(request)))
    return see_other(here(request, "/admin/settings?done=saved#rules"))


async def save_mail(request: web.Request) -> web.Response:
    """Keep the mail settings. An empty password field leaves the password as it is."""
    wrong = await _keep_mail(request)
    return page_with(request, wrong) if wrong else see_other(here(request, "/admin/settings?done=saved#notify"))


async def test_mail(request: web.Request) -> web.Response:
    """Keep the mail settings, send one letter with them now, and say in words why it could not be."""
    wrong = await _keep_mail(request)
    if wrong is None:
        try:
            await node_of(request).notify.send_test()
        except HalleError as error:
            found = describe(error, language_of(request))
            # The server's own words help more than ours, in whatever language they are.
            said = found.title if error.message in found.title else f"{found.title} ({error.message})"
            wrong = Problem(found.status, found.code, said, found.hint)
    return page_with(request, wrong) if wrong else see_other(here(request, "/admin/settings?done=mail-sent#notify"))


async def _keep_mail(request: web.Request) -> Problem | None:
    node, form = node_of(request), await read_form(request)
    password = "" if form.ticked("forget_password") else (form.secret("password") or None)
    try:
        await node.notify.set_mail(read_mail(form), password)
    except HalleError as error:
        return describe(error, language_of(request))
    return None
