"""What a merchant lets the node accept alone: up to how much, for which countries, in which hours.

Rule: a rule never declines; what it holds back waits for the owner, and is tried again as long as it waits.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.trade import trade_setting as table
from halle_protocol.errors import Refused
from halle_protocol.terms import OrderDocument

ACCEPT = "accept-rules"
HOURS = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d\Z")
CODES = frozenset({"rule-off", "rule-value", "rule-country", "rule-hours"})


@dataclass(frozen=True)
class AcceptRules:
    """When the node may say yes by itself. Empty means: no limit.

    Units: `max_total_minor` in the store's currency; `days` 0 = Monday; `opens`, `closes` as 09:00 in `time_zone`
    (empty: this machine's).
    """

    enabled: bool = True
    max_total_minor: int | None = None
    countries: tuple[str, ...] = ()
    days: tuple[int, ...] = ()
    opens: str = ""
    closes: str = ""
    time_zone: str = ""


def read(conn: Connection) -> AcceptRules:
    """Return the owner's rules."""
    text = conn.execute(select(table.c.form).where(table.c.name == ACCEPT)).scalar()
    if text is None:
        return AcceptRules()
    fields = json.loads(text)
    return AcceptRules(**{**fields, "countries": tuple(fields["countries"]), "days": tuple(fields["days"])})


def write(conn: Connection, rules: AcceptRules, now: int) -> None:
    """Keep the owner's rules.

    Raises: Refused rules-invalid.
    """
    _check(rules)
    values = {"form": json.dumps(asdict(rules)), "updated_at": now}
    row = insert(table).values(name=ACCEPT, **values)
    conn.execute(row.on_conflict_do_update(index_elements=["name"], set_=values))


def require_accepted(rules: AcceptRules, document: OrderDocument, currency: str, now: int) -> None:
    """Pass when the rules let the node take this order on alone.

    Raises: Refused rule-off, rule-value, rule-country, rule-hours.
    """
    hint = "Accept or decline it yourself, or change the rules in the settings."
    if not rules.enabled:
        raise Refused("The owner answers every order.", code="rule-off", hint=hint)
    if rules.max_total_minor is not None and (document.currency != currency or document.total > rules.max_total_minor):
        raise Refused("The order is worth more than the node may accept alone.", code="rule-value", hint=hint)
    if rules.countries and document.country and document.country not in rules.countries:
        raise Refused("The node may not accept orders to this country alone.", code="rule-country", hint=hint)
    if not _is_open(rules, now):
        raise Refused("The shop is closed at this hour.", code="rule-hours", hint=hint)


def _is_open(rules: AcceptRules, now: int) -> bool:
    local = datetime.fromtimestamp(now, ZoneInfo(rules.time_zone) if rules.time_zone else None)
    if rules.days and local.weekday() not in rules.days:
        return False
    if not rules.opens or not rules.closes:
        return True
    clock = local.strftime("%H:%M")
    if rules.opens <= rules.closes:
        return rules.opens <= clock < rules.closes
    return clock >= rules.opens or clock < rules.closes  # open over midnight


def _check(rules: AcceptRules) -> None:
    bad = rules.max_total_minor is not None and rules.max_total_minor < 0
    bad |= any(not re.fullmatch(r"[A-Z]{2}", code) for code in rules.countries)
    bad |= any(day not in range(7) for day in rules.days)
    bad |= any(text and not HOURS.match(text) for text in (rules.opens, rules.closes))
    bad |= bool(rules.opens) != bool(rules.closes)
    try:
        ZoneInfo(rules.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        bad = True
    if bad:
        raise Refused(
            "These rules cannot be read.",
            code="rules-invalid",
            hint="Hours as 09:00, countries as two letters, days 0 (Monday) to 6, a time zone such as Europe/Paris.",
        )
