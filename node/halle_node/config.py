"""Every setting of a node, once: name, default, unit and help.

Rule: nothing else in the node reads the environment or a settings file. Names in `halle.toml` are the field
names, names in the environment are `HALLE_` + the field name in capitals; docs are printed from `describe()`.
Order of precedence: defaults < halle.toml < environment < command line.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from halle_protocol.errors import ConfigError

ENV_PREFIX = "HALLE_"
FILE_NAME = "halle.toml"


def default_home() -> Path:
    """The per-user data folder, created by `halle init` and never before."""
    return Path(platformdirs.user_data_path("halle", appauthor=False))


def setting(default: Any, help_text: str, *, unit: str = "", **limits: Any) -> Any:
    """Declare one setting with what the docs must say about it."""
    return Field(default, description=help_text, json_schema_extra={"unit": unit}, **limits)


class Config(BaseModel):
    """All settings of one node; immutable, so that no part can change another part's mind."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    home: Path = Field(
        default_factory=default_home,
        description="Folder that holds this node's keys, database and blocks.",
        json_schema_extra={"unit": "folder"},
    )
    name: str = setting("", "Name of the store, used when a new home is made.", max_length=120)
    language: str = setting("en", "Main language of the shop.", unit="BCP 47", pattern=r"^[A-Za-z0-9-]{2,35}$")
    country: str = setting("FR", "Country the store sells from.", unit="ISO 3166", pattern=r"^[A-Z]{2}$")
    currency: str = setting("EUR", "Currency of the store's prices.", unit="ISO 4217", pattern=r"^[A-Z]{3}$")
    web_host: str = setting(
        "127.0.0.1", "Address the public shop listens on; admin and market stay on 127.0.0.1.", unit="address"
    )
    local_port: int = setting(8480, "Port of admin and market; 0 takes a free one.", unit="port", ge=0, le=65535)
    shop_port: int = setting(8481, "Port of the public shop; 0 takes a free one.", unit="port", ge=0, le=65535)
    shop_url: str = setting("", "Public address of the shop, when a proxy serves it.", unit="URL")
    listen_host: str = setting("127.0.0.1", "Address the peer-to-peer host listens on.", unit="address")
    p2p_port: int = setting(4480, "Port of the peer-to-peer host; 0 takes a free one.", unit="port", ge=0, le=65535)
    announce_addrs: tuple[str, ...] = setting(
        (), "Addresses to tell other peers, when they differ from the ones listened on.", unit="multiaddrs"
    )
    bootstrap: tuple[str, ...] = setting((), "Peers to dial at start.", unit="multiaddrs")
    relays: tuple[str, ...] = setting(
        (), "Relays that keep a place for this node, so that peers reach it behind a router.", unit="multiaddrs"
    )
    learn_relays: bool = setting(
        True, "Use relays among the known peers when no relay is named and nobody can dial this node."
    )
    relay_service: bool = setting(False, "Relay for others; for a node that is reachable from the internet.")
    relay_reservations: int = setting(64, "Peers that the relay keeps a place for.", unit="peers", ge=1, le=4096)
    relay_circuits: int = setting(128, "Connections carried at a time by the relay.", ge=1, le=4096)
    relay_circuit_mb: int = setting(64, "Most one relayed connection may carry.", unit="MB", ge=1, le=4096)
    relay_circuit_s: int = setting(3600, "Longest life of one relayed connection.", unit="seconds", ge=60, le=86_400)
    peer_exchange: bool = setting(True, "Ask peers for more peers while fewer than eight are connected.")
    mdns: bool = setting(
        True, "Find peers in the local network and be found there; nothing is sent while listen_host is this machine."
    )
    upnp: bool = setting(False, "Ask the home router to pass the peer-to-peer port on to this machine (UPnP).")
    rpc_url: tuple[str, ...] = setting(
        (),
        "EVM JSON-RPC endpoints, best first: the next is asked when one fails, and they check each other; "
        "none starts the embedded chain.",
        unit="URLs",
    )
    chain_id: int = setting(0, "Chain the endpoint must be on; 0 accepts any.", unit="chain id", ge=0)
    chain_port: int = setting(8545, "Port of the embedded chain; 0 takes a free one.", unit="port", ge=0, le=65535)
    confirmations_safe: int = setting(
        0, "Blocks until a payment is safe to act on; 0 takes the chain's usual depth.", unit="blocks", ge=0
    )
    confirmations_final: int = setting(
        0, "Blocks until a payment is final; 0 takes the chain's usual depth.", unit="blocks", ge=0
    )
    password: SecretStr = setting(
        SecretStr(""), "Password that unlocks the store key; only from the environment.", unit="text"
    )
    password_file: Path | None = setting(None, "File whose first line is the password.", unit="file")
    scrypt_n: int = setting(2**18, "Cost of the key store's password hash.", unit="power of two", ge=2, le=2**22)
    prekey_days: int = setting(7, "Age at which a new prekey is made.", unit="days", ge=1, le=90)
    head_days: int = setting(30, "Time a published head stays valid.", unit="days", ge=1, le=365)
    low_stock: int = setting(3, "Stock at or below which the to-do list warns.", unit="items", ge=0)
    image_fetch_s: int = setting(15, "Longest wait for one image of an import.", unit="seconds", ge=1, le=120)
    image_max_mb: int = setting(20, "Largest image file taken in.", unit="MB", ge=1, le=64)
    unknown_stores: int = setting(
        50_000, "Unknown stores admitted to the index at a time.", unit="stores", ge=0, le=10_000_000
    )
    unknown_listings: int = setting(
        2_000, "Listings taken from a store that is neither followed nor known.", unit="listings", ge=0
    )
    index_heap_mb: int = setting(32, "Memory of the search index writer.", unit="MB", ge=15, le=1024)
    kubo_api: str = setting(
        "",
        "RPC of an IPFS daemon (Kubo) that keeps what this store publishes; empty for none. "
        "Also /ip4/…/tcp/5001, /dns4/…/tcp/443/https or unix:/path.",
        unit="URL or multiaddr",
    )
    kubo_auth: SecretStr = setting(
        SecretStr(""),
        "Secret for that RPC, basic:user:password or bearer:token; only from the environment.",
        unit="text",
    )
    kubo_auth_file: Path | None = setting(None, "File whose first line is that secret.", unit="file")
    kubo_ca_file: Path | None = setting(
        None, "Authority that signed that RPC's certificate, when the system does not know it.", unit="PEM file"
    )
    kubo_timeout_s: int = setting(60, "Longest silence of that daemon within one call.", unit="seconds", ge=1, le=3600)
    kubo_client: str = setting(
        "aiohttp", "Library that talks to it: aiohttp or ipfshttpclient.", pattern=r"^(aiohttp|ipfshttpclient)$"
    )
    mailbox_for: str = setting(
        "followed",
        "Whose sealed mail is kept here while they are away: nobody, followed, anyone; "
        "always only of stores whose profile names this node.",
        pattern=r"^(nobody|followed|anyone)$",
    )
    mailbox_total_mb: int = setting(64, "Disk for other people's mail.", unit="MB", ge=1, le=100_000)
    mailbox_store_kb: int = setting(4_096, "Mail kept for one store.", unit="KB", ge=256, le=10_000_000)
    mailbox_sender_kb: int = setting(1_024, "Mail kept from one peer.", unit="KB", ge=256, le=10_000_000)
    mailbox_days: int = setting(14, "Time mail is kept.", unit="days", ge=1, le=90)
    disk_mb: int = setting(
        10_240,
        "Disk for pictures and documents: one's own always fit, those of others go or are refused past it; 0: no cap.",
        unit="MB",
        ge=0,
        le=100_000_000,
    )
    upload_kb_s: int = setting(
        0, "Most that is uploaded to other nodes and IPFS in a second; 0 is no cap.", unit="KB/s", ge=0, le=10_000_000
    )
    metrics: bool = setting(False, "Show Prometheus metrics at /metrics of the local port; no personal data.")
    private_shops: bool = setting(
        False, "Send messages to shops on private addresses too: for tests and a network of one's own."
    )
    log_level: str = setting("info", "Least important log line shown.", pattern=r"^(debug|info|warning|error)$")

    @field_validator("name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        from halle_protocol.documents.text import clean_text

        return clean_text(value, multiline=False) if value else value

    @field_validator("rpc_url", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("scrypt_n")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("must be a power of two")
        return value

    def read_password(self) -> str:
        """The password from the environment or the password file; empty when neither is set.

        Raises: ConfigError("password-file-unreadable").
        """
        return self.read_secret("password")

    def read_secret(self, name: str) -> str:
        """A secret setting from the environment, or the first line of the file that `<name>_file` names.

        Raises: ConfigError("password-file-unreadable").
        """
        file: Path | None = getattr(self, f"{name}_file")
        if file is None:
            secret: SecretStr = getattr(self, name)
            return secret.get_secret_value()
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(
                f"The password file {file} cannot be read.",
                code="password-file-unreadable",
                hint="Check that it exists and that you may read it.",
            ) from exc
        return lines[0] if lines else ""


SECRETS = ("password", "kubo_auth")


@dataclass(frozen=True, slots=True)
class SettingHelp:
    """What the docs say about one setting."""

    name: str
    env: str
    default: str
    unit: str
    help: str


def describe() -> list[SettingHelp]:
    """Every setting in order, for the docs."""
    rows = []
    for name, field in Config.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = "the user data folder" if name == "home" else _shown(field.default)
        rows.append(
            SettingHelp(name, ENV_PREFIX + name.upper(), default, str(extra.get("unit", "")), field.description or "")
        )
    return rows


def _shown(value: object) -> str:
    if isinstance(value, SecretStr) or value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def load(
    home: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Settings from defaults, then halle.toml in the home, then HALLE_*, then `overrides`.

    Raises: ConfigError("config-invalid" | "config-file-unreadable" | "setting-unknown" | "password-in-file").
    """
    env = _from_environ(os.environ if environ is None else environ)
    chosen = {name: value for name, value in (overrides or {}).items() if value is not None}
    root = Path(home or chosen.get("home") or env.get("home") or default_home()).expanduser().absolute()
    merged = {**_from_file(root / FILE_NAME), **env, **chosen, "home": root}
    try:
        return Config(**merged)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"The setting {name} is wrong: {first['msg']}.",
            code="config-invalid",
            hint=f"Look for {name} in {FILE_NAME}, {ENV_PREFIX}{name.upper()} or the command line.",
        ) from None


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """Settings from HALLE_*; names that are no setting belong to other tools and are left alone."""
    found: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        raw = environ.get(ENV_PREFIX + name.upper())
        if raw is None:
            continue
        is_list = isinstance(field.default, tuple)
        found[name] = tuple(part.strip() for part in raw.split(",") if part.strip()) if is_list else raw
    return found


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(
            f"{path} cannot be read: {exc}.",
            code="config-file-unreadable",
            hint="Correct the file or remove it.",
        ) from exc
    exposed = next((name for name in SECRETS if name in values), None)
    if exposed is not None:
        raise ConfigError(
            f"{path} holds {'the password' if exposed == 'password' else exposed} in clear.",
            code="password-in-file",
            hint=f"Use {exposed}_file, or {ENV_PREFIX}{exposed.upper()}, and change the password.",
        )
    unknown = sorted(set(values) - set(Config.model_fields))
    if unknown:
        raise ConfigError(
            f"{path} has an unknown setting: {unknown[0]}.",
            code="setting-unknown",
            hint="docs/settings.md lists every setting; `halle --paths` says where the file is.",
        )
    return values


def paths(config: Config) -> dict[str, Path]:
    """Where each part of the node keeps its files.

    Shape: home, config, database, blocks, keys, search, chain, logs, lock.
    """
    home = config.home
    return {
        "home": home,
        "config": home / FILE_NAME,
        "database": home / "halle.db",
        "blocks": home / "blocks",
        "keys": home / "keys",
        "search": home / "search",
        "chain": home / "chain",
        "logs": home / "logs",
        "lock": home / "lock",
    }
