"""Back-ups of a real home, made while it is written to, on good disks and bad ones."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from halle_node.backup import BackupService
from halle_node.backup.restoring import restore_home
from halle_node.blocks import BlockStore
from halle_node.config import Config
from halle_node.db import Database, notes, open_database
from halle_node.keys import Keys
from halle_protocol.cid import RAW, cid_of
from halle_protocol.errors import HalleError, Refused

NOW = 1_790_000_000


class Home:
    """A home with some content."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.keys, self.phrase = Keys.create(self.path, scrypt_n=2)
        self.db: Database = open_database(self.path / "halle.db")
        self.blocks = BlockStore(self.path / "blocks")
        (self.path / "halle.toml").write_text('name = "Camille"\n')
        self.service = BackupService(self.path, self.db, self.blocks, self.keys, lambda: NOW)

    def write(self, number: int) -> None:
        """Store a block and then a row that names it, as every room does."""
        data = number.to_bytes(4, "big") * 30_000
        cid = cid_of(RAW, data)
        self.blocks.put(cid, data)
        self.db.write_blocking(lambda conn: notes.write(conn, f"row {number}", cid.hex(), NOW))

    async def backup(self, file: Path) -> None:
        self.service.start(file)
        while self.service.state().state in ("packing", "checking"):
            await asyncio.sleep(0.01)
        state = self.service.state()
        if state.state == "failed":
            raise HalleError(state.error_text, code=state.error_code, hint=state.error_hint)

    def close(self) -> None:
        self.blocks.close()
        self.db.close()


@pytest.fixture
def home(tmp_path: Path):
    made = Home(tmp_path)
    yield made
    made.close()


def restored(home: Home, file: Path, folder: Path) -> Path:
    restore_home(Config(home=folder, scrypt_n=2), home.phrase, file=file)
    return folder


def rows(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(folder / "halle.db")) as db:
        return dict(db.execute("select name, form from node_note where name like 'row %'").fetchall())


async def test_backup_made_under_writes_is_whole_and_consistent(home: Home, tmp_path: Path) -> None:
    for number in range(50):
        home.write(number)
    writing = asyncio.create_task(asyncio.to_thread(lambda: [home.write(number) for number in range(50, 150)]))
    await home.backup(tmp_path / "a.halle")
    await writing
    folder = restored(home, tmp_path / "a.halle", tmp_path / "new")
    found = rows(folder)
    assert len(found) >= 50
    with closing(BlockStore(folder / "blocks")) as blocks:
        held = {digest.hex() for _, digest in blocks.worth_keeping()}
    assert all(cid[-64:] in held for cid in found.values())  # whatever a row names is there
    assert (folder / "halle.toml").read_text() == 'name = "Camille"\n'
    assert home.service.last() is not None


async def test_restored_keys_outrank_the_lost_ones_and_hold_no_old_prekey(home: Home, tmp_path: Path) -> None:
    await home.backup(tmp_path / "a.halle")
    again = Keys.open(restored(home, tmp_path / "a.halle", tmp_path / "new"))
    assert (again.store_address, again.operator_address) == (home.keys.store_address, home.keys.operator_address)
    assert again.peer_private == home.keys.peer_private
    assert again.grant.sequence > home.keys.grant.sequence
    assert not {key.id for key in again.prekeys()} & {key.id for key in home.keys.prekeys()}


async def test_locked_node_makes_backups_that_the_phrase_opens(home: Home, tmp_path: Path) -> None:
    home.keys.lock()
    await home.backup(tmp_path / "a.halle")
    assert restored(home, tmp_path / "a.halle", tmp_path / "new").is_dir()


async def test_planned_transactions_are_dropped_by_a_restore_and_sent_ones_are_followed(
    home: Home, tmp_path: Path
) -> None:
    row = "insert into chain_tx(signer, nonce, to_address, data, value, purpose, ref, state, created_at) values"
    with closing(sqlite3.connect(home.path / "halle.db")) as db:
        db.execute(f"{row} (x'01', null, x'02', x'', '0', 'refund', x'', 'queued', 1)")
        db.execute(f"{row} (x'01', 4, x'02', x'', '0', 'refund', x'', 'sent', 1)")
        db.commit()
    await home.backup(tmp_path / "a.halle")
    folder = restored(home, tmp_path / "a.halle", tmp_path / "new")
    with closing(sqlite3.connect(folder / "halle.db")) as db:
        found = db.execute("select state, error_code from chain_tx order by id").fetchall()
    assert found == [("failed", "restored"), ("sent", None)]


async def test_new_backup_takes_the_place_of_an_old_one_but_of_nothing_else(home: Home, tmp_path: Path) -> None:
    await home.backup(tmp_path / "a.halle")
    await home.backup(tmp_path / "a.halle")
    (tmp_path / "letter.txt").write_text("Dear Noé")
    for path, code in (
        (tmp_path / "letter.txt", "file-exists"),
        (tmp_path, "backup-path"),
        (home.path / "a.halle", "backup-path"),
        (tmp_path / "nowhere" / "a.halle", "backup-path"),
        (Path("a.halle"), "backup-path"),
    ):
        with pytest.raises(Refused) as raised:
            home.service.start(path)
        assert raised.value.code == code
    assert (tmp_path / "letter.txt").read_text() == "Dear Noé"


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="needs /dev/full or a plain user")
async def test_failed_backup_leaves_the_last_good_one_and_no_half_file(home: Home, tmp_path: Path) -> None:
    for number in range(40):
        home.write(number)
    folder = tmp_path / "disk"
    folder.mkdir()
    await home.backup(folder / "a.halle")
    good = (folder / "a.halle").read_bytes()
    limited = (
        "import asyncio, resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from halle_node.backup import BackupService; from halle_node.blocks import BlockStore\n"
        "from halle_node.db import open_database; from halle_node.keys import Keys\n"
        "home, file = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "db, blocks = open_database(home / 'halle.db'), BlockStore(home / 'blocks')\n"
        "service = BackupService(home, db, blocks, Keys.open(home), lambda: 1)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
        "async def main():\n"
        "    service.start(file)\n"
        "    while service.state().state in ('packing', 'checking'): await asyncio.sleep(0.01)\n"
        "    print(service.state().error_code)\n"
        "asyncio.run(main())\n"
    )
    home.close()
    done = subprocess.run(
        [sys.executable, "-c", limited, str(home.path), str(folder / "a.halle")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "disk-full", done.stderr
    assert [path.name for path in folder.iterdir()] == ["a.halle"]
    assert (folder / "a.halle").read_bytes() == good
    assert not (home.path / "run" / "backup-snapshot.db").exists()


async def test_stopped_backup_leaves_nothing(home: Home, tmp_path: Path) -> None:
    for number in range(40):
        home.write(number)
    home.service.start(tmp_path / "a.halle")
    await home.service.close()
    assert home.service.state().error_code == "backup-stopped"
    assert not list(tmp_path.glob("*.halle*"))
    assert not list(tmp_path.glob(".a*"))


@pytest.mark.parametrize("keep", [200, 300_000])
async def test_damaged_backup_restores_nothing(home: Home, tmp_path: Path, keep: int) -> None:
    for number in range(10):
        home.write(number)
    await home.backup(tmp_path / "a.halle")
    (tmp_path / "cut.halle").write_bytes((tmp_path / "a.halle").read_bytes()[:-keep])
    with pytest.raises(Refused) as raised:
        restored(home, tmp_path / "cut.halle", tmp_path / "new")
    assert raised.value.code == "backup-damaged"
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))


async def test_backup_of_another_store_is_refused_by_name(home: Home, tmp_path: Path) -> None:
    await home.backup(tmp_path / "a.halle")
    other = Home(tmp_path / "other")
    try:
        with pytest.raises(Refused) as raised:
            restored(other, tmp_path / "a.halle", tmp_path / "new")
        assert raised.value.code == "backup-other-store"
        with pytest.raises(Refused) as raised:
            restored(home, tmp_path / "a.halle", home.path)
        assert raised.value.code == "keys-exist"
    finally:
        other.close()
