"""What trade needs from the other rooms. Rule: nothing here is wider than what is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from halle_node.catalog.profile import ProfileForm
from halle_node.chain.records import ChainEvent, TxStatus
from halle_node.index.views import ListingView, StoreView
from halle_node.messages.inbox import Handler, RefusalHook
from halle_node.messages.route import Destination, Route
from halle_node.messages.views import OutgoingMessage
from halle_protocol.cid import CID
from halle_protocol.grant import Grant
from halle_protocol.messages import Message
from halle_protocol.sealing import Prekey
from halle_protocol.terms import Terms


class Config(Protocol):
    """The settings trade reads."""

    @property
    def home(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def country(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def low_stock(self) -> int: ...


class KeyRing(Protocol):
    """The keys trade signs with."""

    store_address: bytes
    operator_private: bytes
    operator_address: bytes
    grant: Grant

    @property
    def locked(self) -> bool: ...
    @property
    def store_private(self) -> bytes: ...
    def prekeys(self) -> list[Prekey]: ...
    def delivery_code(self, order_hash: bytes, /) -> bytes: ...


class Blocks(Protocol):
    """Where documents are kept by CID."""

    def get(self, cid: CID, /) -> bytes: ...
    def has(self, cid: CID, /) -> bool: ...
    def put_many(self, blocks: Sequence[tuple[CID, bytes]], /) -> None: ...
    def pin(self, name: str, cid: CID, /) -> None: ...


class Fetch(Protocol):
    """Blocks from a peer, each checked against its CID."""

    async def __call__(self, peer_id: str, addrs: Sequence[str], cids: Sequence[CID], /) -> dict[CID, bytes]: ...


class Index(Protocol):
    """What other stores publish."""

    def listing(self, store: bytes, handle: str, /) -> ListingView | None: ...
    def store(self, store: bytes, /) -> StoreView | None: ...
    def stores(self) -> list[StoreView]: ...


class Catalog(Protocol):
    """What this store publishes."""

    async def publish_review(self, form: Any, /) -> Any: ...
    async def publish(self, *, products: bool = True) -> Any: ...
    async def clean_photo(self, data: bytes, /) -> bytes: ...
    def profile(self) -> ProfileForm: ...
    async def save_profile(self, form: ProfileForm, /) -> None: ...


class Messages(Protocol):
    """The room that carries messages."""

    def register(self, type_prefix: str, handler: Handler) -> None: ...
    def on_refusal(self, hook: RefusalHook) -> None: ...
    def use_directory(self, directory: Callable[[bytes], Destination | None]) -> None: ...
    def send(self, conn: Connection, message: Message, to_prekey: Prekey, route: Route) -> None: ...
    def replay(self, conn: Connection, thread: bytes) -> int: ...
    def outgoing(self, thread: bytes | None = None, limit: int = 200) -> list[OutgoingMessage]: ...


class ChainClient(Protocol):
    """Reading the chain."""

    @property
    def chain_id(self) -> int: ...
    @property
    def is_embedded(self) -> bool: ...
    async def balance(self, address: bytes, /) -> int: ...
    async def time(self) -> int: ...
    async def call(self, contract: str, function: str, *args: Any, at: bytes | None = None) -> Any: ...


class Outbox(Protocol):
    """Transactions as rows."""

    def enqueue(
        self,
        conn: Connection,
        *,
        signer: bytes,
        to: bytes,
        data: bytes,
        value: int = 0,
        purpose: str,
        ref: bytes,
    ) -> int: ...
    def status(self, row_id: int, /) -> TxStatus: ...


class Watcher(Protocol):
    """Events of the contracts, stored with the callback's changes in one transaction."""

    def subscribe(self, callback: Callable[[Connection, Sequence[ChainEvent]], None]) -> None: ...
    def on_reorg(self, callback: Callable[[Connection, Sequence[ChainEvent]], None]) -> None: ...
    async def terms_of(self, tx_hash: bytes, /) -> Terms: ...
    @property
    def caught_up(self) -> bool: ...


class Contracts(Protocol):
    """Where the contracts are."""

    @property
    def escrow(self) -> bytes: ...
    @property
    def warranty(self) -> bytes: ...
    @property
    def tracking(self) -> bytes: ...
    @property
    def tokens(self) -> Mapping[str, tuple[bytes, int]]: ...


class Chain(Protocol):
    """The chain room."""

    @property
    def client(self) -> ChainClient: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def watcher(self) -> Watcher: ...
    @property
    def contracts(self) -> Contracts: ...
    async def dev_faucet(self, address: bytes, /) -> list[bytes]: ...
