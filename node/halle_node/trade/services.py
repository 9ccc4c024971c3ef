"""Roles anyone can take on: what this node offers, who else offers what, and what the chain says of their work.

Rule: a record is counted from events that nobody can write for somebody else; it is never stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from sqlalchemy import Connection, func, or_, select

from halle_node.catalog.profile import LimitForm, ServiceForm
from halle_node.chain.watcher_rows import event_of, events_about
from halle_node.db.schema.chain import chain_event
from halle_node.db.schema.trade import trade_dispute
from halle_node.index.views import StoreView
from halle_node.trade.certificate_facts import certificate_events
from halle_node.trade.parcels import STATUSES
from halle_node.trade.room import Room
from halle_node.trade.views import ServiceView
from halle_protocol.errors import Refused
from halle_protocol.keys import parse_address, to_checksum

ROLES = ("arbiter", "carrier", "underwriter")
RULED = 7
WORD = 32
MAX_FEE_BPS = 1_000


def policy_of(role: str) -> str:
    """Return the policy that holds a role's binding text."""
    return f"service-{role}"


class Services:
    """What we offer to others, and what others offer."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def offer(self, role: str, form: ServiceForm, terms: str) -> None:
        """Take on a role, or change its terms, and publish them.

        Raises: Refused role-unknown, role-terms-missing, fee-out-of-range.
        """
        _check(role)
        if not terms.strip():
            raise Refused(
                "A role needs terms that both sides can read.",
                code="role-terms-missing",
                hint="Write what you do, and how.",
            )
        if not 0 <= form.fee_bps <= MAX_FEE_BPS:
            raise Refused("The escrow pays at most 1000 of 10,000.", code="fee-out-of-range", hint="250 is 2.5 %.")
        catalog = self._room.catalog
        profile = catalog.profile()
        texts = {profile.language: terms}
        services = {**profile.services, role: form}
        policies = {**profile.policies, policy_of(role): texts}
        await catalog.save_profile(replace(profile, services=services, policies=policies))
        await catalog.publish(products=False)

    def limits_of(self, most: Mapping[str, int]) -> tuple[LimitForm, ...]:
        """Return an underwriter's limits from amounts by token symbol; 0 leaves a token out.

        Raises: Refused token-unknown. Units: token's smallest unit.
        """
        tokens, chain_id = self._room.chain.contracts.tokens, self._room.chain.client.chain_id
        unknown = [symbol for symbol in most if symbol not in tokens]
        if unknown:
            raise Refused(f"There is no token {unknown[0][:40]!r}.", code="token-unknown", hint="See your wallet.")
        return tuple(LimitForm(chain_id, tokens[symbol][0], units) for symbol, units in most.items() if units > 0)

    async def withdraw(self, role: str) -> None:
        """Give a role up; cases and parcels that are open stay ours.

        Raises: Refused role-unknown.
        """
        _check(role)
        catalog = self._room.catalog
        profile = catalog.profile()
        services = {name: form for name, form in profile.services.items() if name != role}
        policies = {name: texts for name, texts in profile.policies.items() if name != policy_of(role)}
        await catalog.save_profile(replace(profile, services=services, policies=policies))
        await catalog.publish(products=False)

    async def choose(
        self, *, arbiter: str | None = None, backup: str | None = None, carrier: str | None = None
    ) -> None:
        """Name who decides and who carries in our future orders; empty names nobody. Publishes.

        Raises: Refused arbiter-is-us, arbiters-equal; LocalProtocolError bad-address.
        """
        catalog, me = self._room.catalog, self._room.me
        profile = catalog.profile()
        before = profile.terms
        terms = replace(
            before,
            arbiter=_address(arbiter, before.arbiter),
            backup_arbiter=_address(backup, before.backup_arbiter),
            carrier=_address(carrier, before.carrier),
        )
        if me in (terms.arbiter, terms.backup_arbiter):
            raise Refused("A shop cannot rule its own orders.", code="arbiter-is-us", hint="Choose somebody else.")
        if any(terms.arbiter) and terms.arbiter == terms.backup_arbiter:
            raise Refused("The second arbiter must be another one.", code="arbiters-equal", hint="Leave it empty.")
        if arbiter:
            terms = replace(terms, arbiter_fee_bps=self._fee_of(terms.arbiter))
        await catalog.save_profile(replace(profile, terms=terms))
        await catalog.publish(products=False)

    def offers(self, role: str) -> list[ServiceView]:
        """Return who takes on a role, as far as this node has heard, with their records.

        Raises: Refused role-unknown.
        """
        _check(role)
        found = [store for store in self._room.index.stores() if store.profile and role in store.profile.services]
        return self._room.db.read(lambda conn: [self._view(conn, store, role) for store in found])

    def _fee_of(self, arbiter: bytes) -> int:
        """Return what an arbiter asks; one who publishes nothing gets nothing."""
        store = self._room.index.store(arbiter)
        offer = store.profile.services.get("arbiter") if store and store.profile else None
        return offer.fee_bps if offer else 0

    def _view(self, conn: Connection, store: StoreView, role: str) -> ServiceView:
        assert store.profile is not None
        offer, language, names = store.profile.services[role], self._room.config.language, _symbols(self._room)
        record, median_s = record_of(conn, role, store.store)
        policy = store.profile.policies.get(policy_of(role))
        return ServiceView(
            address=to_checksum(store.store),
            name=store.name,
            role=role,
            about=offer.about.get(language) if offer.about else "",
            terms=str(policy) if policy else "",
            fee_bps=offer.fee_bps,
            respond_within_s=offer.respond_within_s,
            languages=offer.languages,
            countries=offer.countries,
            record=record,
            median_s=median_s,
            own=store.store == self._room.me,
            limits={names[each.token]: int(each.most) for each in offer.limits if each.token in names},
            max_days=offer.max_days,
        )


def _symbols(room: Room) -> Mapping[bytes, str]:
    return {token: symbol for symbol, (token, _) in room.chain.contracts.tokens.items()}


def record_of(conn: Connection, role: str, address: bytes) -> tuple[Mapping[str, int], int | None]:
    """Return what the chain says of somebody's work in a role, counted by word, and the median time to rule."""
    return {"arbiter": _arbiter, "carrier": _carrier, "underwriter": _underwriter}[role](conn, address)


def _arbiter(conn: Connection, address: bytes) -> tuple[Mapping[str, int], int | None]:
    table = trade_dispute
    query = select(table).where(or_(table.c.arbiter == address, table.c.backup == address))
    counts: Counter[str] = Counter()
    times = []
    for row in conn.execute(query).all():
        events = {event.name: event for event in events_about(conn, row.order_id)}
        escalated, closed, opened = events.get("Escalated"), events.get("Closed"), events["Disputed"]
        if row.arbiter != address and escalated is None:
            continue  # the backup was never called
        counts["disputes"] += 1
        started = opened if row.arbiter == address else escalated
        ruled = closed is not None and int(closed.args["how"]) == RULED
        passed_over = row.arbiter == address and escalated is not None
        if ruled and not passed_over and closed is not None and started is not None:
            counts["ruled"] += 1
            times.append(closed.block_time - started.block_time)
        elif passed_over or (closed is not None and int(closed.args["how"]) == RULED + 1):
            counts["silent"] += 1
        else:
            counts["open" if closed is None else "agreed"] += 1
    return dict(counts), int(median(times)) if times else None


def _carrier(conn: Connection, address: bytes) -> tuple[Mapping[str, int], int | None]:
    third = func.substr(chain_event.c.topics, 2 * WORD + 1, WORD)
    query = select(chain_event).where(chain_event.c.name == "Checkpoint", third == address.rjust(WORD, b"\0"))
    newest: dict[bytes, int] = {}
    for row in conn.execute(query.order_by(chain_event.c.block_number, chain_event.c.log_index)):
        event = event_of(row)
        newest[event.subject] = int(event.args["status"])
    counts = Counter(STATUSES[status] for status in newest.values())
    return {"parcels": len(newest), **counts}, None


def _underwriter(conn: Connection, address: bytes) -> tuple[Mapping[str, int], int | None]:
    third = func.substr(chain_event.c.topics, 2 * WORD + 1, WORD)
    query = select(chain_event).where(
        chain_event.c.name == "Registered", chain_event.c.contract == "Warranty", third == address.rjust(WORD, b"\0")
    )
    counts: Counter[str] = Counter()
    for row in conn.execute(query).all():
        counts["certificates"] += 1
        names = Counter(event.name for event in certificate_events(conn, int.from_bytes(row.subject, "big")))
        counts["claims"] += names["ClaimOpened"]
        counts["paid"] += names["ClaimPaid"]
        counts["accepted"] += names["ClaimAccepted"]
        counts["contested"] += names["ClaimContested"]
    return dict(counts), None


def _address(text: str | None, before: bytes) -> bytes:
    """Read an address: None keeps what was, an empty text names nobody."""
    if text is None:
        return before
    return parse_address(text.strip()) if text.strip() else bytes(20)


def _check(role: str) -> None:
    if role not in ROLES:
        raise Refused(f"There is no role {role[:40]!r}.", code="role-unknown", hint=f"One of: {', '.join(ROLES)}.")
