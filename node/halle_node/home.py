"""A node's folder: made once by `halle init`, held by one running node at a time."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from halle_node.config import FILE_NAME, Config, paths
from halle_node.keys import Keys, peer_id_of
from halle_protocol.errors import ConfigError, Refused, Unavailable
from halle_protocol.keys import to_checksum

KEPT = ("name", "language", "country", "currency", "scrypt_n")


@dataclass(frozen=True)
class MadeHome:
    """What `halle init` made. `phrase` is written nowhere else: show it once."""

    home: Path
    store: str
    operator: str
    peer_id: str
    grant_until: str
    phrase: str


def create_home(config: Config, *, phrase: str | None = None, password: str = "") -> MadeHome:
    """Make a home with fresh keys, or with the keys of the store that `phrase` names.

    Raises: Refused "keys-exist" | "phrase-invalid"; Unavailable when the folder cannot be written.
    """
    refuse_existing(config)
    try:
        config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{config.home} cannot be made: {error.strerror}.",
            code="home-unwritable",
            hint="Choose another folder with --home.",
        ) from error
    # Before the keys, whose last file is what makes the folder a node: stopped in between, `init` starts afresh.
    _write_settings(config)
    keys, words = Keys.create(
        config.home,
        phrase=phrase,
        password=password,
        scrypt_n=config.scrypt_n,
        prekey_days=config.prekey_days,
    )
    return describe_home(config.home, keys, words)


def describe_home(home: Path, keys: Keys, phrase: str = "") -> MadeHome:
    """Return what is in a home that was just made."""
    return MadeHome(
        home=home,
        store=to_checksum(keys.store_address),
        operator=to_checksum(keys.operator_address),
        peer_id=peer_id_of(keys.peer_private),
        grant_until=datetime.fromtimestamp(keys.grant.not_after, UTC).date().isoformat(),
        phrase=phrase,
    )


def is_home(config: Config) -> bool:
    """Return whether a node was made in that folder, to its end; its settings file is not needed for that."""
    return Keys.exist(config.home)


def refuse_existing(config: Config) -> None:
    """Raise Refused "keys-exist" when the folder holds a store's keys already."""
    if Keys.exist(config.home):
        raise Refused(
            f"{config.home} already holds a store's keys.",
            code="keys-exist",
            hint="Choose another home, or move these away first.",
        )


def _write_settings(config: Config) -> None:
    given = config.model_dump(include=set(KEPT) & config.model_fields_set)
    lines = ["# Settings of this node. `halle --help` names them all; the environment (HALLE_…) overrides them."]
    # JSON strings and integers are TOML strings and integers.
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
    path = config.home / FILE_NAME
    draft = path.with_suffix(".new")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draft.replace(path)


class HomeLock:
    """The right to run a node on a home; the system frees it even after kill -9."""

    def __init__(self, config: Config) -> None:
        self._path = paths(config)["lock"]
        self._file: int | None = None

    def __enter__(self) -> HomeLock:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()

    def take(self) -> None:
        """Hold the home. Raises: Refused "home-in-use"; ConfigError "home-missing"."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{self._path.parent} is not a node's home: {error.strerror}.",
                code="home-missing",
                hint="Make one with `halle init`.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(handle, 20).decode("ascii", "replace").strip()
            os.close(handle)
            raise Refused(
                f"Another node already runs on this home (process {holder or 'unknown'}).",
                code="home-in-use",
                hint="Use that one, close it first, or give this one its own --home.",
            ) from error
        os.truncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._file = handle

    def free(self) -> None:
        """Let the home go; twice is fine."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
