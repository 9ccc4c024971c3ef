"""The keys that messages to this store are sealed with: one in use, old ones kept until they are destroyed.

Rule: a prekey is announced for four rotations, so that a letter sealed with last week's profile still opens;
its private half lives on until `destroy`, because orders last longer than that. Destroying it erases every
message sealed with it.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from halle_node.keys.files import destroy_secret, make_folder, read_secret, write_secret
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.sealing import SEED_BYTES, Prekey, make_prekey

DAY_S = 86_400
ANNOUNCED_ROTATIONS = 4


@dataclass(frozen=True, slots=True)
class StoredPrekey:
    """A prekey with its private half and its age."""

    prekey: Prekey
    private: bytes
    made_at: int


class PrekeyRing:
    """The prekeys of one home folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, StoredPrekey] = {}
        make_folder(folder)
        for path in folder.glob("*.json"):
            stored = _decode(read_secret(path))
            self._known[stored.prekey.id] = stored

    def announced(self, now: int) -> list[Prekey]:
        """The prekeys to name in the profile, newest first."""
        alive = [stored for stored in self._known.values() if stored.prekey.not_after > now]
        return [stored.prekey for stored in sorted(alive, key=lambda s: (-s.made_at, s.prekey.id))]

    def private(self, prekey_id: str) -> tuple[bytes, str]:
        """The private half and its suite.

        Raises: Refused("prekey-unknown").
        """
        stored = self._known.get(prekey_id)
        if stored is None:
            raise Refused(
                f"No prekey {prekey_id[:40]} is kept here.",
                code="prekey-unknown",
                hint="Fetch the store's newest profile and seal again.",
            )
        return stored.private, stored.prekey.suite

    def rotate(self, now: int, days: int) -> Prekey | None:
        """Make a new prekey when the newest is `days` old; None when none is due."""
        newest = max((stored.made_at for stored in self._known.values()), default=None)
        if newest is not None and now - newest < days * DAY_S:
            return None
        not_after = now + ANNOUNCED_ROTATIONS * days * DAY_S
        private, prekey = make_prekey(secrets.token_bytes(SEED_BYTES), not_after)
        stored = StoredPrekey(prekey, private, now)
        write_secret(self._path(prekey.id), _encode(stored))
        self._known[prekey.id] = stored
        return prekey

    def destroy(self, expired_before: int) -> list[str]:
        """Destroy every prekey not announced since `expired_before`; return their ids."""
        old = [name for name, stored in self._known.items() if stored.prekey.not_after < expired_before]
        for name in old:
            destroy_secret(self._path(name))
            del self._known[name]
        return sorted(old)

    def _path(self, prekey_id: str) -> Path:
        return self._folder / f"{prekey_id}.json"


def _encode(stored: StoredPrekey) -> bytes:
    prekey = stored.prekey
    return json.dumps(
        {
            "id": prekey.id,
            "suite": prekey.suite,
            "public": prekey.public.hex(),
            "private": stored.private.hex(),
            "made_at": stored.made_at,
            "not_after": prekey.not_after,
        }
    ).encode()


def _decode(data: bytes) -> StoredPrekey:
    try:
        fields = json.loads(data)
        public, private = bytes.fromhex(fields["public"]), bytes.fromhex(fields["private"])
        prekey = Prekey(id=fields["id"], suite=fields["suite"], public=public, not_after=fields["not_after"])
        return StoredPrekey(prekey, private, int(fields["made_at"]))
    except (ValueError, KeyError, TypeError) as exc:
        raise Unavailable(
            "A prekey file is damaged.",
            code="prekey-damaged",
            hint="Restore the keys folder from a backup.",
        ) from exc
