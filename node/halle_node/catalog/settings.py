"""The store's own card: profile, delivery and route rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.catalog.profile import ProfileForm, ShippingForm
from halle_node.catalog.stored import profile_form, profile_text, shipping_form, shipping_text
from halle_node.config import Config
from halle_node.db.schema.catalog import setting

PROFILE, SHIPPING, ROUTE, SITE = "profile", "shipping", "route", "site"
UNNAMED = "Halle store"


def _read(connection: Connection, name: str) -> str | None:
    found = connection.execute(select(setting.c.form).where(setting.c.name == name)).scalar()
    return None if found is None else str(found)


def _write(connection: Connection, name: str, form: str, now: int) -> None:
    values = {"form": form, "updated_at": now}
    statement = insert(setting).values(name=name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def read_profile(connection: Connection, config: Config) -> ProfileForm:
    """What the merchant said of the store, or what the settings say, with the way to reach the node."""
    text = _read(connection, PROFILE)
    form = profile_form(text) if text else _from_config(config)
    route = _read(connection, ROUTE)
    if route:
        # A saved form may carry the way of an earlier start: where the node is now wins.
        peer_id, addrs = json.loads(route)
        form = replace(form, peer_id=peer_id, addrs=tuple(addrs))
    return form


def _from_config(config: Config) -> ProfileForm:
    return ProfileForm(
        name=config.name or UNNAMED,
        language=config.language,
        country=config.country,
        currency=config.currency,
        shop_url=config.shop_url,
    )


def write_profile(connection: Connection, form: ProfileForm, now: int) -> None:
    """Keep the merchant's words."""
    _write(connection, PROFILE, profile_text(form), now)


def write_route(connection: Connection, peer_id: str, addrs: Sequence[str], now: int) -> None:
    """Keep where this node is reached; it is published with the profile."""
    _write(connection, ROUTE, dump_route(peer_id, addrs), now)


def dump_route(peer_id: str, addrs: Sequence[str]) -> str:
    """A route as text."""
    return json.dumps([peer_id, list(addrs)])


def read_shipping(connection: Connection) -> ShippingForm:
    """Where the store delivers to."""
    text = _read(connection, SHIPPING)
    return shipping_form(text) if text else ShippingForm()


def write_shipping(connection: Connection, form: ShippingForm, now: int) -> None:
    """Keep where the store delivers to."""
    _write(connection, SHIPPING, shipping_text(form), now)


def read_site_version(connection: Connection) -> str | None:
    """Which renderer made the last static shop."""
    return _read(connection, SITE)


def write_site_version(connection: Connection, version: str, now: int) -> None:
    """Note which renderer made the static shop."""
    _write(connection, SITE, version, now)
