"""The recovery phrase at rest: Ethereum's key store, version 3, with scrypt.

Rule: without the password nothing of the phrase can be learned; a wrong password is told apart from damage.
The secret inside is the phrase's UTF-8 text, not a private key, so that one file restores every derived key.
Spec: Web3 Secret Storage Definition, version 3.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from halle_protocol.errors import Refused, Unavailable
from halle_protocol.keys import keccak256

DEFAULT_N = 2**18
# An empty password protects nothing, so its hash need not cost half a second at each start.
EMPTY_PASSWORD_N = 2**12
MAX_N = 2**22
BLOCK_R = 8
LANES_P = 1
KEY_BYTES = 32


def seal_phrase(phrase: str, password: str, *, scrypt_n: int = DEFAULT_N) -> bytes:
    """The key store file for `phrase`. Units: `scrypt_n` × 1 KiB of memory."""
    cost = scrypt_n if password else min(scrypt_n, EMPTY_PASSWORD_N)
    salt, iv = secrets.token_bytes(32), secrets.token_bytes(16)
    derived = _derive(password, salt, cost)
    ciphertext = _aes_ctr(derived[:16], iv, phrase.encode())
    crypto = {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": iv.hex()},
        "ciphertext": ciphertext.hex(),
        "kdf": "scrypt",
        "kdfparams": {"dklen": KEY_BYTES, "n": cost, "r": BLOCK_R, "p": LANES_P, "salt": salt.hex()},
        "mac": keccak256(derived[16:32] + ciphertext).hex(),
    }
    return json.dumps({"version": 3, "id": str(uuid.uuid4()), "crypto": crypto}, indent=1).encode()


def open_phrase(data: bytes, password: str) -> str:
    """The phrase in a key store file.

    Raises: Refused("wrong-password"), Unavailable("keystore-damaged").
    """
    try:
        crypto = json.loads(data)["crypto"]
        salt, cost = _cost_of(crypto)
        iv, ciphertext = bytes.fromhex(crypto["cipherparams"]["iv"]), bytes.fromhex(crypto["ciphertext"])
        mac = bytes.fromhex(crypto["mac"])
    except (ValueError, KeyError, TypeError) as exc:
        raise _damaged() from exc
    derived = _derive(password, salt, cost)
    if not secrets.compare_digest(keccak256(derived[16:32] + ciphertext), mac):
        raise Refused(
            "The password is wrong.",
            code="wrong-password",
            hint="Try again, or restore the store from its phrase.",
        )
    return _aes_ctr(derived[:16], iv, ciphertext).decode()


def _cost_of(crypto: dict[str, Any]) -> tuple[bytes, int]:
    params = crypto["kdfparams"]
    cost = int(params["n"])
    fixed = (crypto["kdf"], crypto["cipher"], params["r"], params["p"], params["dklen"])
    # A planted file must not make the node hash for hours.
    if fixed != ("scrypt", "aes-128-ctr", BLOCK_R, LANES_P, KEY_BYTES) or not 2 <= cost <= MAX_N:
        raise ValueError("not a key store of ours")
    return bytes.fromhex(params["salt"]), cost


def _derive(password: str, salt: bytes, cost: int) -> bytes:
    room = 128 * BLOCK_R * (cost + LANES_P + 2) + (1 << 20)
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=BLOCK_R, p=LANES_P, dklen=KEY_BYTES, maxmem=room)


def _aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _damaged() -> Unavailable:
    return Unavailable(
        "The key store file is damaged.",
        code="keystore-damaged",
        hint="Restore the keys folder from a backup, or the store from its phrase.",
    )
