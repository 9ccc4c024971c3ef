"""From drafts to a signed head: only what changed is signed again, and nothing is announced before it is stored.

Rule: a document's sequence never goes back, nor does the head's; every block a head leads to is on the disk before
the head's row commits; publishing the same things twice makes one head.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, func, select, true, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.blocks import BlockStore
from halle_node.catalog import compose, drafts, settings, stock
from halle_node.catalog.compose import Body
from halle_node.catalog.product import ProductForm
from halle_node.catalog.report import Published
from halle_node.catalog.site import SitePlan, SiteRenderer, build_site, commit_site
from halle_node.catalog.stored import product_form, review_form
from halle_node.config import Config
from halle_node.db.schema import catalog as tables
from halle_node.db.schema.index import head as heard_head
from halle_node.keys import Keys
from halle_protocol import catalog as tree
from halle_protocol import dagcbor
from halle_protocol.cid import CID
from halle_protocol.documents import LISTING, POLICY, PROFILE, REVIEW, SHIPPING, WARRANTY_TERMS, sign_document
from halle_protocol.errors import HalleError, Refused, Unavailable
from halle_protocol.head import Announcement, Head, announce, sign_head

log = logging.getLogger(__name__)

DAY_S = 86_400
BATCH = 500
# Type, store, seq, issued and signature take the rest of the 64 KiB.
MAX_BODY_BYTES = 64 * 1024 - 400
# The machine that was lost may still run somewhere: what it publishes must not get a number that is ours.
RESTORED_LEAP = 1_000
PIN, PIN_NEXT, PIN_BEFORE = "own/head", "own/next", "own/before"
# The same pages of the same catalog would fail again: they are tried when either changes.
FAILED = "failed "
PROFILE_KEY, SHIPPING_KEY = "profile/store", "shipping/store"


@dataclass(frozen=True, slots=True)
class Edition:
    """One document as it was last signed."""

    cid: CID | None
    seq: int
    content: bytes


@dataclass
class Plan:
    """Everything one publish will change. Nothing of it is visible before it commits."""

    products: bool = True
    changes: dict[str, CID | None] = field(default_factory=dict)
    editions: dict[str, Edition] = field(default_factory=dict)
    caught_up: list[tuple[str, int]] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    site: SitePlan | None = None


class Publisher:
    """Signs and stores. All methods block; the service calls them in worker threads."""

    def __init__(
        self,
        config: Config,
        blocks: BlockStore,
        keys: Keys,
        clock: Callable[[], int],
        renderer: SiteRenderer | None = None,
    ) -> None:
        self._config = config
        self._renderer = renderer
        self._blocks = blocks
        self._keys = keys
        self._clock = clock
        self.restored_at = 0

    def prepare(self, connection: Connection, *, products: bool = True) -> Plan:
        """Sign every document whose content changed and store its block; return what is to change.

        Without `products` only the store's card and its reviews: saved products wait for their own publish.

        Runs on a read connection: signing takes its time and must not hold up the writer.
        """
        plan = Plan(products)
        known = _editions(connection)
        shipping, policies = self._common(connection, plan, known)
        profile = settings.read_profile(connection, self._config)
        body = compose.profile_body(profile, self._keys.prekeys(self._clock()), shipping=shipping, policies=policies)
        self._put(plan, known, [(PROFILE_KEY, PROFILE, body)])
        if products:
            for rows in _batches(connection, everything=self._is_new_operator(connection)):
                self._products(connection, plan, known, rows)
        for row in connection.execute(select(tables.review)):
            self._put(plan, known, [(row.key, REVIEW, compose.review_body(review_form(row.form)))])
        return plan

    def _is_new_operator(self, connection: Connection) -> bool:
        """True when the last head was vouched for by another key: its documents no longer count."""
        last = last_head(connection)
        grant = None if last is None else Announcement.decode(last.announcement).open()[1]
        return grant is not None and grant.operator != self._keys.operator_address

    def _common(
        self, connection: Connection, plan: Plan, known: Mapping[str, Edition]
    ) -> tuple[CID | None, dict[str, CID]]:
        profile = settings.read_profile(connection, self._config)
        shipping = compose.shipping_body(settings.read_shipping(connection), profile.language)
        cids = self._put(plan, known, [(SHIPPING_KEY, SHIPPING, shipping)])
        policies = {}
        for kind, texts in profile.policies.items():
            key = f"policy/{kind}"
            body = compose.policy_body(kind, texts, profile.language) if any(texts.values()) else None
            cid = self._put(plan, known, [(key, POLICY, body)])[key]
            if cid is not None:
                policies[kind] = cid
        return cids[SHIPPING_KEY], policies

    def _products(
        self,
        connection: Connection,
        plan: Plan,
        known: Mapping[str, Edition],
        rows: Sequence[tuple[str, str, bool, int]],
    ) -> None:
        entries: list[tuple[str, str, Body | None]] = []
        for handle, text, public, revision in rows:
            form = product_form(text)
            try:
                entries += self._product(connection, plan, known, form, public)
            except HalleError as exc:
                plan.problems.append((handle, exc.code, exc.message))
                continue
            plan.caught_up.append((handle, revision))
        self._put(plan, known, entries)

    def _product(
        self,
        connection: Connection,
        plan: Plan,
        known: Mapping[str, Edition],
        form: ProductForm,
        public: bool,
    ) -> list[tuple[str, str, Body | None]]:
        terms_key, key = f"warranty-terms/{form.handle}", drafts.LISTING_PREFIX + form.handle
        terms = compose.warranty_terms_body(form) if public else None
        terms_cid = self._put(plan, known, [(terms_key, WARRANTY_TERMS, terms)])[terms_key]
        if not public:
            return [(key, LISTING, None)]
        photos = drafts.photos_of(connection, form.handle)
        body = compose.listing_body(form, photos, stock.levels(connection, form.handle), terms_cid)
        if len(dagcbor.encode(body)) > MAX_BODY_BYTES:
            raise Refused(
                f"{form.handle} is too long to be published.",
                code="document-too-large",
                hint="Shorten the description or split its variants into several products.",
            )
        return [(key, LISTING, body)]

    def _put(
        self, plan: Plan, known: Mapping[str, Edition], entries: Sequence[tuple[str, str, Body | None]]
    ) -> dict[str, CID | None]:
        """Sign what changed; return the CID of every entry, None for the absent ones."""
        cids: dict[str, CID | None] = {}
        blocks: list[tuple[CID, bytes]] = []
        for key, type_name, body in entries:
            last = known.get(key)
            if body is None:
                cids[key] = None
                if last is not None and last.cid is not None:
                    plan.changes[key] = None
                    plan.editions[key] = Edition(None, last.seq, b"")
                continue
            content = self.content_of(type_name, body)
            if last is not None and last.cid is not None and last.content == content:
                cids[key] = last.cid
                continue
            seq = last.seq + 1 if last else 1
            doc = sign_document(
                self._keys.operator_private, type_name, self._keys.store_address, seq, self._clock(), body
            )
            blocks.append((doc.cid, doc.bytes))
            cids[key] = plan.changes[key] = doc.cid
            plan.editions[key] = Edition(doc.cid, seq, content)
        self._blocks.put_many(blocks)
        return cids

    def content_of(self, type_name: str, body: Body) -> bytes:
        """What a document says and who vouches for it: a new operator key signs everything again."""
        hashed = hashlib.sha256(type_name.encode() + b"\0" + self._keys.operator_address)
        hashed.update(dagcbor.encode(body))
        return hashed.digest()

    def seal(self, connection: Connection, plan: Plan, *, replace: bool = False) -> Published:
        """Build the tree, sign the head and store every block; the head is not announced yet.

        Raises: Refused("published-elsewhere") when this store has a newer head from elsewhere and not `replace`.
        """
        last, now = last_head(connection), self._clock()
        fresh = last is not None and last.head.expires - now > self._config.head_days * DAY_S // 2
        same_pages = self._renderer is None or settings.read_site_version(connection) in (
            self._renderer.version,
            FAILED + self._renderer.version,
        )
        same_grant = last is not None and last.head.grant == self._keys.grant.cid
        if last is not None and fresh and not plan.changes and same_grant and same_pages:
            return Published(last.head, last.catalog_root, (), last.announcement, is_new=False)
        if replace and self._is_outranked(connection):
            self._keys.renew_grant(now)
        elif self._is_outranked(connection):
            raise Refused(
                "Another machine runs this store now, with a later grant than this one's.",
                code="replaced-elsewhere",
                hint="Use that one. To make this the store again: halle product publish --replace",
            )
        own_seq, heard_seq = last.head.seq if last else 0, _heard_seq(connection, self._keys.store_address)
        if heard_seq > own_seq and not replace:
            raise Refused(
                f"Another machine has published head {heard_seq} of this store; here it is at {own_seq}.",
                code="published-elsewhere",
                hint="Copy that machine's folder here, or put this catalog first: halle product publish --replace",
            )
        root, pages = self._tree(last, plan)
        self._blocks.put_many(list(pages.items()))
        site = self._site(connection, plan, root, last)
        seq = max(own_seq, heard_seq) + 1
        if last is None or last.head.issued <= self.restored_at:
            seq += RESTORED_LEAP if self.restored_at else 0
        head = sign_head(
            self._keys.operator_private,
            self._keys.store_address,
            seq,
            root,
            issued=now,
            expires=now + self._config.head_days * DAY_S,
            site=site,
            grant=self._keys.grant.cid,
        )
        self._blocks.put_many([(head.cid, head.encode()), (self._keys.grant.cid, self._keys.grant.encode())])
        self._blocks.pin(PIN_NEXT, head.cid)
        changed = tuple(sorted(key for key, cid in plan.changes.items() if cid is not None))
        removed = tuple(sorted(key for key, cid in plan.changes.items() if cid is None))
        return Published(head, root, changed, announce(head, self._keys.grant).encode(), True, removed)

    def _is_outranked(self, connection: Connection) -> bool:
        return heard_grant(connection, self._keys.store_address) > self._keys.grant.sequence

    def _site(self, connection: Connection, plan: Plan, root: CID, last: Published | None) -> CID | None:
        """Make the static shop; when that fails the last one stays, because selling must not wait for pages."""
        if self._renderer is None:
            return None
        try:
            plan.site = build_site(connection, self._blocks, self._renderer, root)
        except Unavailable:  # a full disk: nothing of this publish can be stored
            raise
        except Exception:  # a page can fail in any way that a template or a format can
            log.exception("the static shop could not be made; the earlier one stays")
            return last.head.site if last else None
        return plan.site.root

    def _tree(self, last: Published | None, plan: Plan) -> tuple[CID, dict[CID, bytes]]:
        if last is None:
            made = tree.build({key: cid for key, cid in plan.changes.items() if cid is not None})
        else:
            made = tree.update(last.catalog_root, plan.changes, self._blocks.get)
        return made.root, made.blocks

    def commit(self, connection: Connection, plan: Plan, published: Published) -> None:
        """Make it the store's state, in the caller's transaction.

        Raises: Refused("published-meanwhile").
        """
        last = last_head(connection)
        if published.is_new:
            if last is not None and last.head.seq >= published.head.seq:
                raise Refused("Another publish came first.", code="published-meanwhile", hint="Publish again.")
            _write_head(connection, published)
            _write_editions(connection, plan.editions)
            if self._renderer is not None:
                if plan.site is not None:
                    commit_site(connection, plan.site)
                version = self._renderer.version if plan.site is not None else FAILED + self._renderer.version
                settings.write_site_version(connection, version, self._clock())
        if plan.caught_up:
            rows = [{"at_handle": handle, "at_revision": revision} for handle, revision in plan.caught_up]
            connection.execute(_CATCH_UP, rows)
        if plan.products:
            connection.execute(delete(tables.problem))
        if plan.problems:
            names = ("handle", "code", "message")
            connection.execute(insert(tables.problem), [dict(zip(names, row, strict=True)) for row in plan.problems])

    def pin(self, published: Published) -> None:
        """Keep this head's blocks, and the last head's for peers that are still fetching it."""
        before = self._blocks.pins().get(PIN)
        if before is not None and before != published.head.cid:
            self._blocks.pin(PIN_BEFORE, before)
        self._blocks.pin(PIN, published.head.cid)
        self._blocks.unpin(PIN_NEXT)


_CATCH_UP = (
    update(tables.product)
    .where(tables.product.c.handle == bindparam("at_handle"))
    .values(published_revision=bindparam("at_revision"))
)


def last_head(connection: Connection) -> Published | None:
    """The store's newest head."""
    row = connection.execute(select(tables.head).order_by(tables.head.c.seq.desc()).limit(1)).first()
    if row is None:
        return None
    head = Head.decode(Announcement.decode(row.frame).head)
    return Published(head, CID.from_bytes(row.root), (), row.frame, is_new=False)


def store_adopted(connection: Connection, head: Head, root: CID, frame: bytes, editions: Mapping[str, Edition]) -> None:
    """Go on from an edition that the network kept, whose documents are now those of `root`."""
    _write_head(connection, Published(head, root, (), frame, is_new=False))
    _write_editions(connection, editions)


def _heard_seq(connection: Connection, store: bytes) -> int:
    """The highest head of this very store that the network told of, perhaps made on another machine."""
    query = select(func.max(heard_head.c.seq)).where(heard_head.c.store == store)
    return connection.execute(query).scalar() or 0


def heard_grant(connection: Connection, store: bytes) -> int:
    """The sequence of the grant in the newest head of this very store that the network told of."""
    query = select(heard_head.c.frame).where(heard_head.c.store == store)
    frame = connection.execute(query).scalar()
    grant = None if frame is None else Announcement.decode(frame).open()[1]
    return 0 if grant is None else grant.sequence


def _editions(connection: Connection) -> dict[str, Edition]:
    rows = connection.execute(select(tables.published))
    return {row.key: Edition(CID.from_bytes(row.cid) if row.cid else None, row.seq, row.content) for row in rows}


def _batches(connection: Connection, *, everything: bool) -> Iterator[list[tuple[str, str, bool, int]]]:
    """Products with unpublished changes. Shape: handle, form, public, revision."""
    product = tables.product
    after = ""
    due = true() if everything else product.c.revision > product.c.published_revision
    while True:
        rows = connection.execute(
            select(product.c.handle, product.c.form, product.c.status, product.c.removed_at, product.c.revision)
            .where(due, product.c.handle > after)
            .order_by(product.c.handle)
            .limit(BATCH)
        ).all()
        if not rows:
            return
        yield [(row.handle, row.form, row.status == "active" and row.removed_at is None, row.revision) for row in rows]
        after = rows[-1].handle


def _write_head(connection: Connection, published: Published) -> None:
    head = published.head
    connection.execute(
        insert(tables.head).values(
            seq=head.seq,
            cid=bytes(head.cid),
            root=bytes(published.catalog_root),
            frame=published.announcement,
            issued=head.issued,
            expires=head.expires,
        )
    )


def _write_editions(connection: Connection, editions: Mapping[str, Edition]) -> None:
    if not editions:
        return
    statement = insert(tables.published)
    changed = {name: statement.excluded[name] for name in ("cid", "seq", "content")}
    rows = [
        {
            "key": key,
            "cid": None if one.cid is None else bytes(one.cid),
            "seq": one.seq,
            "content": one.content,
        }
        for key, one in editions.items()
    ]
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=changed), rows)
