"""Every key of a node. The store key can spend, so it sleeps behind a password; the operator key works all day.

Rule: the operator, peer and prekey files are useless for moving money. The store key is derived from the phrase
only while unlocked. A home made without a password has a key store with an empty one, and unlocks by itself.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from halle_node.keys.files import make_folder, read_secret, write_secret
from halle_node.keys.phrase import clean_phrase, new_phrase, store_key
from halle_node.keys.prekeys import PrekeyRing
from halle_node.keys.recovery import Recovery, decode_recovery, recovery_of
from halle_node.keys.vault import DEFAULT_N, open_phrase, seal_phrase
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.grant import Grant, sign_grant
from halle_protocol.keys import address_of
from halle_protocol.sealing import Prekey

FOLDER = "keys"
VAULT, OPERATOR, PEER, GRANT, STORE = "phrase.json", "operator.key", "peer.key", "grant.cbor", "store.json"
RECOVERY = "recovery.json"
SCOPES = ("publish", "quote", "message", "ship", "settle")
GRANT_DAYS = 730
CLOCK_SKEW_S = 3_600
DAY_S = 86_400


@dataclass(frozen=True)
class KeptKeys:
    """Keys that a restored node goes on with, and the sequence of the last grant known."""

    operator: bytes
    peer: bytes
    sequence: int = 0


class Keys:
    """The keys of one home folder. Use `create` once, `open` ever after."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store_private: bytes | None = None
        self.store_address = _read_address(folder)
        self.operator_private = read_secret(folder / OPERATOR)
        self.operator_address = address_of(self.operator_private)
        self.peer_private = read_secret(folder / PEER)
        self.grant = Grant.decode(read_secret(folder / GRANT))
        self._prekeys = PrekeyRing(folder / "prekeys")

    @classmethod
    def create(
        cls,
        home: Path,
        *,
        phrase: str | None = None,
        password: str | None = None,
        now: int | None = None,
        scrypt_n: int = DEFAULT_N,
        prekey_days: int = 7,
        keep: KeptKeys | None = None,
    ) -> tuple[Keys, str]:
        """Make the keys of a new store, or of the store `phrase` names; return them and the phrase.

        `keep` are those of a back-up; the grant that is made outranks theirs, and the prekeys are new in any case.

        Raises: Refused("keys-exist" | "phrase-invalid"), Unavailable("key-file-unwritable").
        """
        folder = home / FOLDER
        if cls.exist(home):
            raise Refused(
                f"{folder} already holds a store's keys.",
                code="keys-exist",
                hint="Choose another home, or move these away first.",
            )
        words = new_phrase() if phrase is None else clean_phrase(phrase)
        at = int(time.time()) if now is None else now
        make_folder(folder)
        private = store_key(words)
        kept = keep or KeptKeys(_new_operator(), secrets.token_bytes(32))
        operator, peer = kept.operator, kept.peer
        write_secret(folder / OPERATOR, operator)
        write_secret(folder / PEER, peer)
        write_secret(folder / GRANT, _grant(private, operator, peer, max(at, kept.sequence + 1)).encode())
        write_secret(folder / RECOVERY, recovery_of(words)[1].encode())
        PrekeyRing(folder / "prekeys").rotate(at, prekey_days)
        write_secret(folder / VAULT, seal_phrase(words, password or "", scrypt_n=scrypt_n))
        # Last: this file is what makes the folder a finished one.
        described = {"store": address_of(private).hex(), "password": bool(password)}
        write_secret(folder / STORE, json.dumps(described).encode())
        keys = cls(folder)
        keys._store_private = private
        return keys, words

    @classmethod
    def open(cls, home: Path) -> Keys:
        """Load the keys of a home; unlocked already when it was made without a password.

        Raises: Unavailable("key-file-missing" | "keystore-damaged").
        """
        keys = cls(home / FOLDER)
        if not json.loads(read_secret(home / FOLDER / STORE)).get("password", True):
            keys.unlock("")
        return keys

    @staticmethod
    def exist(home: Path) -> bool:
        """True when a home holds a finished set of keys."""
        return (home / FOLDER / STORE).is_file()

    @property
    def locked(self) -> bool:
        """True while the store key is asleep."""
        return self._store_private is None

    @property
    def store_private(self) -> bytes:
        """The store's private key.

        Raises: Refused("keys-locked").
        """
        if self._store_private is None:
            raise Refused(
                "The store key is locked.",
                code="keys-locked",
                hint="Unlock it with the password, then try again.",
            )
        return self._store_private

    def unlock(self, password: str) -> None:
        """Wake the store key. Takes about half a second and 256 MiB by design: call it in a worker thread.

        Raises: Refused("wrong-password"), Unavailable("keystore-damaged").
        """
        words = open_phrase(read_secret(self._folder / VAULT), password)
        private = store_key(words)
        if address_of(private) != self.store_address:
            raise Unavailable(
                "The key store belongs to another store than this folder.",
                code="keystore-damaged",
                hint="Restore the whole keys folder from one backup.",
            )
        self._store_private = private
        if not (self._folder / RECOVERY).exists():  # a home that was made before there were back-ups
            write_secret(self._folder / RECOVERY, recovery_of(words)[1].encode())

    def lock(self) -> None:
        """Put the store key back to sleep."""
        self._store_private = None

    def phrase(self, password: str) -> str:
        """The recovery phrase, for showing it to its owner.

        Raises: Refused("wrong-password").
        """
        return open_phrase(read_secret(self._folder / VAULT), password)

    @property
    def recovery(self) -> Recovery:
        """What back-ups are sealed to and delivery codes come from; needs no password.

        Raises: Refused("keys-locked") in a home of an older Halle that was not unlocked since.
        """
        if not (self._folder / RECOVERY).exists():
            _ = self.store_private
        return decode_recovery(read_secret(self._folder / RECOVERY))

    def delivery_code(self, order_hash: bytes) -> bytes:
        """The delivery code of an order of ours.

        Raises: Refused("keys-locked") as above.
        """
        return self.recovery.delivery_code(order_hash)

    def change_password(self, old: str, new: str, *, scrypt_n: int = DEFAULT_N) -> None:
        """Encrypt the phrase anew.

        Raises: Refused("wrong-password").
        """
        write_secret(self._folder / VAULT, seal_phrase(self.phrase(old), new, scrypt_n=scrypt_n))
        described = {"store": self.store_address.hex(), "password": bool(new)}
        write_secret(self._folder / STORE, json.dumps(described).encode())

    def renew_grant(self, now: int) -> Grant:
        """Sign the operator key for another term, with a higher sequence.

        Raises: Refused("keys-locked").
        """
        at = max(now, self.grant.sequence + 1)
        self.grant = _grant(self.store_private, self.operator_private, self.peer_private, at)
        write_secret(self._folder / GRANT, self.grant.encode())
        return self.grant

    def prekeys(self, now: int | None = None) -> list[Prekey]:
        """The prekeys to announce, newest first."""
        return self._prekeys.announced(int(time.time()) if now is None else now)

    def prekey_private(self, prekey_id: str) -> tuple[bytes, str]:
        """The private half of a prekey and its suite.

        Raises: Refused("prekey-unknown").
        """
        return self._prekeys.private(prekey_id)

    def rotate_prekeys(self, now: int, days: int = 7) -> Prekey | None:
        """A new prekey when the newest is `days` old, else None. Publish the profile after one was made."""
        return self._prekeys.rotate(now, days)

    def destroy_prekeys(self, expired_before: int) -> list[str]:
        """Erase prekeys that expired before a moment, and with them what was sealed to them."""
        return self._prekeys.destroy(expired_before)


def _new_operator() -> bytes:
    while True:
        candidate = secrets.token_bytes(32)
        if 0 < int.from_bytes(candidate, "big") < 2**255:  # inside the curve's order, uniformly
            return candidate


def _grant(store_private: bytes, operator: bytes, peer: bytes, now: int) -> Grant:
    """A grant whose sequence is the time: a store restored from its phrase still outranks its old node."""
    return sign_grant(
        store_private,
        operator=address_of(operator),
        peer_id=peer_id_of(peer),
        scopes=SCOPES,
        not_before=max(now - CLOCK_SKEW_S, 0),
        not_after=now + GRANT_DAYS * DAY_S,
        sequence=now,
    )


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# protobuf PublicKey{Type: Ed25519, Data: 32 bytes} in an identity multihash
_PEER_PREFIX = bytes.fromhex("002408011220")


def peer_id_of(peer_private: bytes) -> str:
    """The libp2p name of an Ed25519 peer key.

    Spec: libp2p peer ids, base58btc of the identity multihash of the public key.
    """
    raw = _PEER_PREFIX + Ed25519PrivateKey.from_private_bytes(peer_private).public_key().public_bytes_raw()
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def _read_address(folder: Path) -> bytes:
    try:
        address = bytes.fromhex(json.loads(read_secret(folder / STORE))["store"])
    except (ValueError, KeyError, TypeError) as exc:
        raise Unavailable(
            f"{folder / STORE} is damaged.",
            code="keystore-damaged",
            hint="Restore the keys folder from a backup, or the store from its phrase.",
        ) from exc
    return address
