"""A home from a back-up and the store's phrase, or from the phrase alone.

Rule: the folder appears whole under its name, or not at all. What the lost machine may have done after the back-up is
never done again by guess: transactions that were only planned are dropped, and open orders wait until the chain and the
other side have said what happened.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, update

from halle_node.backup import contents
from halle_node.backup.stream import SealedReader, open_key, read_header
from halle_node.config import Config, paths
from halle_node.db import notes, open_database
from halle_node.db.errors import translated
from halle_node.db.schema.chain import chain_tx
from halle_node.db.schema.index import head as heard_head
from halle_node.db.schema.trade import trade_order
from halle_node.home import MadeHome, create_home, describe_home, refuse_existing
from halle_node.keys import KeptKeys, Keys, recovery_of
from halle_node.keys.phrase import clean_phrase, store_key
from halle_node.notify import notices
from halle_node.trade.restored import NOTE, WAITS_FOR_CHAIN
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.grant import Grant
from halle_protocol.keys import address_of, to_checksum

PLACE = ".restoring-"

Progress = Callable[[int], None]


def restore_home(
    config: Config,
    phrase: str,
    *,
    password: str = "",
    file: Path | None = None,
    progress: Progress = lambda count: None,
) -> MadeHome:
    """Make the home of the store that `phrase` names, with all that `file` kept; without a file with its keys alone.

    Raises: Refused keys-exist, phrase-invalid, folder-not-empty, not-a-backup, backup-other-store, backup-phrase,
    backup-damaged; Unavailable backup-newer, disk-full, home-unwritable.
    """
    refuse_existing(config)
    words, now = clean_phrase(phrase), int(time.time())
    if config.home.exists() and any(config.home.iterdir()):
        raise Refused(f"{config.home} is not empty.", code="folder-not-empty", hint="Choose another home with --home.")
    draft = _make_draft(config.home)
    try:
        if file is None:
            create_home(config.model_copy(update={"home": draft}), phrase=words, password=password)
        else:
            _unpack(file, words, draft, progress)
            _make_keys(draft, words, password, config, now)
        _after(draft, now)
        if config.home.exists():
            config.home.rmdir()
        draft.rename(config.home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return describe_home(config.home, Keys(config.home / "keys"))


def _make_draft(home: Path) -> Path:
    """Make the folder that becomes the home; what an interrupted restore left goes."""
    for left in home.parent.glob(f".{home.name}{PLACE}*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = home.parent / f".{home.name}{PLACE}{secrets.token_hex(4)}"
    try:
        draft.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise Unavailable(
            f"{draft} cannot be made: {error.strerror}.",
            code="home-unwritable",
            hint="Choose another folder with --home.",
        ) from error
    return draft


def _unpack(file: Path, words: str, draft: Path, progress: Progress) -> None:
    with translated(), file.open("rb") as source:
        header = read_header(source)
        store = address_of(store_key(words))
        if header.store != store:
            raise Refused(
                f"This back-up is of store {to_checksum(header.store)}, the phrase of {to_checksum(store)}.",
                code="backup-other-store",
                hint="Give the phrase that belongs to it.",
            )
        key = open_key(header, recovery_of(words)[0])
        contents.unpack(SealedReader(source, key, header), draft, progress)


def _make_keys(draft: Path, words: str, password: str, config: Config, now: int) -> None:
    folder = draft / "keys"
    last = Grant.decode((folder / "grant.cbor").read_bytes())
    kept = KeptKeys((folder / "operator.key").read_bytes(), (folder / "peer.key").read_bytes(), last.sequence)
    Keys.create(
        draft,
        phrase=words,
        password=password,
        now=now,
        scrypt_n=config.scrypt_n,
        prekey_days=config.prekey_days,
        keep=kept,
    )


def _after(home: Path, now: int) -> None:
    """Write down that this is a restored node, and stop what another machine may have done since."""
    db = open_database(paths(Config(home=home))["database"])
    note = {"at": now, "head_found": False}

    def change(conn: Connection) -> None:
        told = {"error_code": "restored", "error_text": "The node was restored; make the move again if it is due."}
        conn.execute(update(chain_tx).where(chain_tx.c.state == "queued").values(state="failed", **told))
        conn.execute(
            update(trade_order)
            .where(trade_order.c.folded_open.is_(True), trade_order.c.role != "arbiter")
            .values(restored=WAITS_FOR_CHAIN, history_asked_at=0)
        )
        notices.stop_mail(conn)
        # Pictures of others are not in a back-up: their stores are fetched anew.
        conn.execute(update(heard_head).values(indexed_root=None))
        notes.write(conn, NOTE, json.dumps(note), now)

    try:
        db.write_blocking(change)
    finally:
        db.close()
    os.sync()
