"""The Python face of the contracts: calldata, events, errors, addresses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.resources import files
from typing import Any

import pytest
import rlp
from eth_abi.abi import encode
from eth_account import Account
from pyrevm import EVM, AccountInfo, CfgEnv, Env

import halle_contracts
from contracts.evm_market import BUYER, CHAIN_ID, MERCHANT, NATIVE, STRANGER, Market, text
from contracts.npm_tools import CONTRACTS
from halle_contracts.codec import Entry, _entries
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.keys import keccak256, to_checksum

EIP170_LIMIT = 24_576


def test_import_does_not_load_eth_abi() -> None:
    code = "import sys, halle_contracts; sys.exit('eth_abi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_terms_come_back_out_of_calldata(market: Market) -> None:
    terms = market.terms()
    data = halle_contracts.encode_call("Escrow", "fund", halle_contracts.terms_tuple(terms), b"sig")
    name, args = halle_contracts.decode_call("Escrow", data)  # type: ignore[misc]
    assert (name, args["merchantSig"]) == ("fund", b"sig")
    assert tuple(args["t"]) == halle_contracts.TERMS_FIELDS
    assert halle_contracts.terms_tuple(args["t"]) == terms.as_tuple()


def test_structs_are_encoded_alike_from_objects_dicts_and_tuples(market: Market) -> None:
    terms = market.terms()
    as_dict = dict(zip(halle_contracts.TERMS_FIELDS, terms.as_tuple(), strict=True))
    forms = (terms, as_dict, terms.as_tuple())
    assert len({halle_contracts.encode_call("Escrow", "digestOf", form) for form in forms}) == 1


def test_struct_fields_of_the_protocol_and_the_abi_agree() -> None:
    fund = next(entry for entry in _entries("Escrow", "function") if entry.name == "fund")
    assert tuple(part["name"] for part in fund.inputs[0]["components"]) == halle_contracts.TERMS_FIELDS


def test_decode_call_knows_only_its_own_functions() -> None:
    assert halle_contracts.decode_call("Escrow", b"\0\0\0\0") is None
    assert halle_contracts.decode_call("Escrow", b"") is None
    selector = halle_contracts.function_selector("Escrow", "withdraw")
    with pytest.raises(RemoteProtocolError):
        halle_contracts.decode_call("Escrow", selector + b"\xff")


def test_decode_event_ignores_foreign_logs() -> None:
    assert halle_contracts.decode_event("Escrow", [], b"") is None
    assert halle_contracts.decode_event("Escrow", [bytes(32)], b"") is None
    topic = halle_contracts.event_topic("Escrow", "Closed")
    assert halle_contracts.decode_event("Escrow", [topic], b"") is None
    with pytest.raises(RemoteProtocolError):
        halle_contracts.decode_event("Escrow", [topic, bytes(32)], b"")


def test_decode_revert_names_custom_standard_and_unknown_errors() -> None:
    too_late = keccak256(b"TooLate(uint256)")[:4] + bytes(31) + b"\x07"
    assert halle_contracts.decode_revert("Escrow", too_late) == ("TooLate", {"closedAt": 7})
    panic = keccak256(b"Panic(uint256)")[:4] + bytes(31) + b"\x11"
    assert halle_contracts.decode_revert("Escrow", panic) == ("Panic", {"code": 0x11})
    for data in (b"", b"\1\2", too_late[:-1]):
        assert halle_contracts.decode_revert("Escrow", data) == ("Unknown", {"data": data})


def abi_entries(kind: str) -> list[tuple[str, Entry]]:
    return [(name, entry) for name in halle_contracts.NAMES for entry in _entries(name, kind)]


SAMPLES = {"string": "why", "bool": True, "address": b"\x0a" * 20, "bytes32": b"\x0b" * 32}


def samples(entry: Entry) -> list[Any]:
    """Return a value per field, numbers told apart by their place."""
    kinds = [str(item["type"]) for item in entry.inputs]
    return [SAMPLES.get(kind, place) for place, kind in enumerate(kinds, start=1)]


@pytest.mark.parametrize(("contract", "entry"), abi_entries("event"), ids=lambda part: getattr(part, "signature", part))
def test_every_event_decodes_to_its_named_fields(contract: str, entry: Entry) -> None:
    values = samples(entry)
    topics, plain, kinds = [entry.digest], [], []
    for item, value in zip(entry.inputs, values, strict=True):
        hexed = "0x" + value.hex() if item["type"] == "address" else value
        if item["indexed"]:
            topics.append(encode([item["type"]], [hexed]))
        else:
            plain.append(hexed)
            kinds.append(item["type"])
    found = halle_contracts.decode_event(contract, topics, encode(kinds, plain))
    assert found == (entry.name, dict(zip((item["name"] for item in entry.inputs), values, strict=True)))
    assert all(item["name"] for item in entry.inputs)


@pytest.mark.parametrize(("contract", "entry"), abi_entries("error"), ids=lambda part: getattr(part, "signature", part))
def test_every_error_decodes_and_has_a_code_of_ours(contract: str, entry: Entry) -> None:
    values = samples(entry)
    hexed = ["0x" + value.hex() if isinstance(value, bytes) and len(value) == 20 else value for value in values]
    data = entry.selector + encode([item["type"] for item in entry.inputs], hexed)
    cause = halle_contracts.cause_of(contract, data)
    assert (cause.name, list((cause.args or {}).values())) == (entry.name, values)
    assert (cause.code, cause.hint) == halle_contracts.CAUSES[entry.name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cause.code)
    assert cause.hint.endswith(".")


def test_causes_name_no_error_that_is_not_there() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (CONTRACTS / "src").rglob("*.sol"))
    declared = set(re.findall(r"^ *error (\w+)\(", sources, re.MULTILINE))
    known = {entry.name for _, entry in abi_entries("error")} | declared | {"Error", "Panic"}
    assert set(halle_contracts.CAUSES) == known
    assert halle_contracts.cause_of("Escrow", b"\1\2\3\4").code == halle_contracts.UNKNOWN[0]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: halle_contracts.artifact("Bazaar"), "contract-unknown"),
        (lambda: halle_contracts.encode_call("Escrow", "burn"), "function-unknown"),
        (lambda: halle_contracts.encode_call("Warranty", "safeTransferFrom"), "function-unknown"),
        (lambda: halle_contracts.encode_call("Escrow", "withdraw", b"\1" * 20), "bad-arguments"),
        (lambda: halle_contracts.encode_call("Escrow", "withdraw", 5, 5), "bad-arguments"),
        (lambda: halle_contracts.predicted_address("TestToken"), "no-canonical-deployment"),
    ],
)
def test_wrong_use_is_named(call, code: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LocalProtocolError) as caught:
        call()
    assert caught.value.code == code


def test_deployer_constants_belong_together() -> None:
    signer = bytes.fromhex(Account.recover_transaction(halle_contracts.DEPLOYER_RAW_TRANSACTION)[2:])
    assert signer == halle_contracts.DEPLOYER_SIGNER
    assert keccak256(rlp.encode([signer, b""]))[12:] == halle_contracts.DEPLOYER_ADDRESS
    assert halle_contracts.DEPLOYER_CODE in halle_contracts.DEPLOYER_RAW_TRANSACTION


@pytest.mark.parametrize("salt", [halle_contracts.SALT, b"\x5a" * 32])
def test_contracts_land_where_predicted_with_the_code_predicted(salt: bytes) -> None:
    evm = EVM(env=Env(cfg=CfgEnv(chain_id=CHAIN_ID)), spec_id="CANCUN")
    deployer = text(halle_contracts.DEPLOYER_ADDRESS)
    evm.insert_account_info(deployer, AccountInfo(code=halle_contracts.DEPLOYER_CODE))
    for name in halle_contracts.SHIPPED:
        call = halle_contracts.deployment_call(name, salt)
        created = evm.message_call(text(STRANGER.address), deployer, call)
        assert bytes(created) == halle_contracts.predicted_address(name, salt)
        code = evm.basic(text(bytes(created))).code
        assert code is not None
        assert bytes(code).rstrip(b"\0") == halle_contracts.deployed_runtime(name, salt).rstrip(b"\0")


def test_deployments_file_says_what_follows_from_the_code() -> None:
    stored = json.loads(files("halle_contracts").joinpath("deployments.json").read_text("utf-8"))
    addresses = {name: to_checksum(halle_contracts.predicted_address(name)) for name in halle_contracts.SHIPPED}
    assert stored["everyChain"] == addresses, "run `make abi`"
    assert stored["sourceHash"] == halle_contracts.artifact("Escrow").source_hash
    assert stored["deployer"] == to_checksum(halle_contracts.DEPLOYER_ADDRESS)
    assert bytes.fromhex(stored["salt"][2:]) == halle_contracts.SALT
    assert set(map(str, halle_contracts.DEPLOYMENTS)) == set(stored["chains"])


def test_court_arbiter_is_another_address_for_another_court() -> None:
    arbiters = [
        halle_contracts.CourtArbiter(b"\1" * 20),
        halle_contracts.CourtArbiter(b"\2" * 20),
        halle_contracts.CourtArbiter(b"\1" * 20, b"\1"),
        halle_contracts.CourtArbiter(b"\1" * 20, b"", "ipfs://rules"),
    ]
    assert len({arbiter.address for arbiter in arbiters}) == 4
    assert [arbiter.court in arbiter.runtime for arbiter in arbiters] == [True] * 4


@pytest.mark.parametrize("name", halle_contracts.NAMES)
def test_contracts_fit_the_code_size_limit(name: str) -> None:
    assert 0 < len(halle_contracts.artifact(name).runtime) <= EIP170_LIMIT


def test_test_token_is_a_stablecoin_in_miniature(market: Market) -> None:
    assert market.read("TestToken", market.token, "decimals") == 6
    assert market.read("TestToken", market.token, "symbol") == "TEUR"
    market.give(market.token, BUYER.address, 5)
    market.send(BUYER.address, market.token, halle_contracts.encode_call("TestToken", "transfer", MERCHANT.address, 5))
    assert market.balance(market.token, MERCHANT.address) == 5
    assert market.balance(NATIVE, MERCHANT.address) == 0


@pytest.mark.parametrize("name", ["Escrow", "DeliveryTracking", "Warranty"])
def test_eip712_domain_is_readable_on_chain(market: Market, name: str) -> None:
    address = {"Escrow": market.escrow, "DeliveryTracking": market.tracking, "Warranty": market.warranty}[name]
    domain = market.read(name, address, "eip712Domain")
    assert (domain["chainId"], domain["verifyingContract"], domain["version"]) == (CHAIN_ID, address, "1")
    separator = keccak256(
        keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
        + keccak256(domain["name"].encode())
        + keccak256(b"1")
        + CHAIN_ID.to_bytes(32, "big")
        + address.rjust(32, b"\0")
    )
    assert market.read(name, address, "DOMAIN_SEPARATOR") == separator
