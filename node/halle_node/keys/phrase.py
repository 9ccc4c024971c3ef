"""The twelve words that are the store: BIP-39 phrase → BIP-32 keys, as every Ethereum wallet derives them.

Spec: BIP-39, BIP-32, BIP-44; the store key is m/44'/60'/0'/0/0, the others are those of docs/spec/16-recovery.md §1.
"""

from __future__ import annotations

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_account.hdaccount.mnemonic import Mnemonic

from halle_protocol.errors import Refused

STORE_PATH = "m/44'/60'/0'/0/0"
# 0x68616c6c, "hall": a purpose of our own, so that no wallet derives these.
RECOVERY_PATH = "m/1751215212'/0'"
CODES_PATH = "m/1751215212'/1'"
WORD_COUNT = 12


def new_phrase() -> str:
    """Twelve fresh words from the operating system's randomness."""
    return str(Mnemonic().generate(num_words=WORD_COUNT))


def clean_phrase(phrase: str) -> str:
    """The phrase as it is derived from: lower-case words, single spaces.

    Raises: Refused("phrase-invalid") when a word or the checksum is wrong.
    """
    tidy = " ".join(phrase.lower().split())
    if not Mnemonic().is_mnemonic_valid(tidy):
        raise Refused(
            "These words are not a recovery phrase.",
            code="phrase-invalid",
            hint="Check the spelling and the order of all words.",
        )
    return tidy


def store_key(phrase: str) -> bytes:
    """The store's private key."""
    return bytes(key_from_seed(seed_from_mnemonic(phrase, ""), STORE_PATH))


def recovery_seed(phrase: str) -> bytes:
    """The seed of the key that opens this store's back-ups."""
    return bytes(key_from_seed(seed_from_mnemonic(phrase, ""), RECOVERY_PATH))


def codes_key(phrase: str) -> bytes:
    """The key that this store's delivery codes come from."""
    return bytes(key_from_seed(seed_from_mnemonic(phrase, ""), CODES_PATH))
