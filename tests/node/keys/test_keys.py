"""A store's keys: the phrase is the store, the password guards it, files are private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from halle_node.keys import Keys
from halle_node.keys.phrase import store_key
from halle_node.keys.vault import open_phrase, seal_phrase
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.keys import address_of, to_checksum
from halle_protocol.sealing import seal, unseal

NOW = 1_800_000_000
WEEK = 7 * 86_400
CHEAP = 2
JUNK = "test test test test test test test test test test test junk"


def make(home: Path, **choices: object) -> tuple[Keys, str]:
    return Keys.create(home, now=NOW, scrypt_n=CHEAP, **choices)  # type: ignore[arg-type]


def test_store_key_is_the_one_every_wallet_derives() -> None:
    assert to_checksum(address_of(store_key(JUNK))) == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def test_restore_from_the_phrase_gives_the_same_store(tmp_path: Path) -> None:
    first, phrase = make(tmp_path / "a")
    second, _ = make(tmp_path / "b", phrase=phrase.upper() + "  ")
    assert second.store_address == first.store_address
    assert second.operator_address != first.operator_address


def test_restored_grant_outranks_the_old_one(tmp_path: Path) -> None:
    first, phrase = make(tmp_path / "a")
    second, _ = Keys.create(tmp_path / "b", phrase=phrase, now=NOW + 10, scrypt_n=CHEAP)
    assert second.grant.sequence > first.grant.sequence


def test_create_refuses_a_wrong_phrase(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        make(tmp_path, phrase="test test test")
    assert refusal.value.code == "phrase-invalid"


def test_create_refuses_when_keys_exist(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(Refused) as refusal:
        make(tmp_path)
    assert refusal.value.code == "keys-exist"


def test_grant_is_signed_by_the_store_for_the_operator(tmp_path: Path) -> None:
    keys, _ = make(tmp_path)
    keys.grant.verify()
    assert keys.grant.store == keys.store_address
    assert keys.grant.operator == keys.operator_address
    assert keys.grant.active(NOW)
    assert keys.grant.peer_id.startswith("12D3KooW")


def test_open_unlocks_by_itself_when_there_is_no_password(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    opened = Keys.open(tmp_path)
    assert not opened.locked
    assert opened.store_private == made.store_private
    assert (opened.operator_private, opened.peer_private) == (made.operator_private, made.peer_private)


def test_open_stays_locked_when_there_is_a_password(tmp_path: Path) -> None:
    make(tmp_path, password="sésame")
    opened = Keys.open(tmp_path)
    assert opened.locked
    with pytest.raises(Refused) as refusal:
        _ = opened.store_private
    assert refusal.value.code == "keys-locked"
    with pytest.raises(Refused) as refusal:
        opened.unlock("sesame")
    assert refusal.value.code == "wrong-password"
    opened.unlock("sésame")
    assert address_of(opened.store_private) == opened.store_address
    opened.lock()
    assert opened.locked


def test_change_password_keeps_the_phrase(tmp_path: Path) -> None:
    keys, phrase = make(tmp_path, password="old")
    keys.change_password("old", "new", scrypt_n=CHEAP)
    opened = Keys.open(tmp_path)
    assert opened.phrase("new") == phrase
    with pytest.raises(Refused):
        opened.unlock("old")


def test_renewed_grant_has_a_higher_sequence(tmp_path: Path) -> None:
    keys, _ = make(tmp_path)
    before = keys.grant.sequence
    assert keys.renew_grant(NOW - 100).sequence == before + 1
    assert Keys.open(tmp_path).grant.sequence == before + 1


def test_key_files_are_private_and_hold_no_phrase(tmp_path: Path) -> None:
    keys, phrase = make(tmp_path, password="p")
    files = [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    assert len(files) >= 6
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        data = path.read_bytes()
        assert phrase.encode() not in data
        assert keys.store_private not in data
        assert keys.store_private.hex().encode() not in data
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_open_says_what_to_do_when_a_file_is_missing(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "keys" / "operator.key").unlink()
    with pytest.raises(Unavailable) as failure:
        Keys.open(tmp_path)
    assert failure.value.code == "key-file-missing"


def test_vault_refuses_a_planted_cost() -> None:
    data = seal_phrase(JUNK, "p", scrypt_n=CHEAP).replace(b'"n": 2', b'"n": 1073741824')
    with pytest.raises(Unavailable) as failure:
        open_phrase(data, "p")
    assert failure.value.code == "keystore-damaged"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"crypto": 1}', b"\xff"])
def test_vault_refuses_garbage(data: bytes) -> None:
    with pytest.raises(Unavailable):
        open_phrase(data, "p")


def test_vault_with_the_default_cost_opens() -> None:
    assert open_phrase(seal_phrase(JUNK, "p"), "p") == JUNK


def test_prekeys_rotate_weekly_and_old_ones_still_open(tmp_path: Path) -> None:
    keys, _ = make(tmp_path)
    (first,) = keys.prekeys(NOW)
    sealed = seal(b"letter", first, b"info")
    assert keys.rotate_prekeys(NOW + WEEK - 1) is None
    second = keys.rotate_prekeys(NOW + WEEK)
    assert second is not None
    assert [one.id for one in keys.prekeys(NOW + WEEK)] == [second.id, first.id]
    assert [one.id for one in keys.prekeys(NOW + 4 * WEEK + 1)] == [second.id]
    private, suite = Keys.open(tmp_path).prekey_private(first.id)
    assert unseal(sealed, private, suite, b"info") == b"letter"


def test_destroyed_prekey_opens_nothing(tmp_path: Path) -> None:
    keys, _ = make(tmp_path)
    (first,) = keys.prekeys(NOW)
    assert keys.destroy_prekeys(first.not_after) == []
    assert keys.destroy_prekeys(first.not_after + 1) == [first.id]
    for ring in (keys, Keys.open(tmp_path)):
        with pytest.raises(Refused) as refusal:
            ring.prekey_private(first.id)
        assert refusal.value.code == "prekey-unknown"
