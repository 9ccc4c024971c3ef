"""Every struct that the contracts ask somebody to sign can be shown in words by a wallet (ERC-7730)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from contracts.evm_market import Market
from contracts.npm_tools import CONTRACTS
from halle_protocol.signing import TYPES

FOLDER = CONTRACTS / "erc7730"
NAMES = ("Escrow", "DeliveryTracking", "Warranty")
TYPE_STRING = re.compile(r'"([A-Z]\w*)\(([a-z0-9]+ \w+(?:,[a-z0-9]+ \w+)*)\)"')
SIGNED_ELSEWHERE = {"EIP712Domain"}
MACHINE_ONLY = {"bytes32"}
FITTING = {
    "tokenAmount": {"uint256"},
    "date": {"uint40", "uint64", "uint256"},
    "duration": {"uint32"},
    "unit": {"uint16"},
    "enum": {"uint8"},
    "addressName": {"address"},
    "raw": {"uint256", "bytes32", "bool"},
}
Field = dict[str, Any]


def struct_fields(text: str) -> list[tuple[str, str]]:
    """Return (name, type) of each field of a struct's body."""
    return [(name, kind) for kind, name in (part.split(" ") for part in text.split(","))]


def structs_in_sources() -> dict[str, list[tuple[str, str]]]:
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((CONTRACTS / "src").glob("*.sol")))
    found = {name: struct_fields(body) for name, body in TYPE_STRING.findall(sources)}
    return {name: fields for name, fields in found.items() if name not in SIGNED_ELSEWHERE}


def descriptor(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"eip712-{name}.json").read_text(encoding="utf-8"))
    return found


def described() -> dict[str, list[tuple[str, str]]]:
    return {
        schema["primaryType"]: [(field["name"], field["type"]) for field in schema["types"][schema["primaryType"]]]
        for name in NAMES
        for schema in descriptor(name)["context"]["eip712"]["schemas"]
    }


def shown() -> list[tuple[str, dict[str, Any]]]:
    return [(kind, layout) for name in NAMES for kind, layout in descriptor(name)["display"]["formats"].items()]


def test_every_signed_struct_of_the_sources_is_described_field_for_field() -> None:
    structs = structs_in_sources()
    assert len(structs) >= 6
    assert described() == structs


def test_structs_the_node_signs_for_the_contracts_are_the_same() -> None:
    shared = set(described()) & set(TYPES)
    assert {"Terms", "Settlement", "Release", "SetOperator"} <= shared
    for name in shared:
        assert f"{name}({','.join(f'{kind} {field}' for field, kind in described()[name])})" == TYPES[name]


@pytest.mark.parametrize(("kind", "layout"), shown())
def test_every_field_is_shown_in_a_fitting_form_with_hashes_last(kind: str, layout: dict[str, Any]) -> None:
    types = dict(described()[kind])
    fields: list[Field] = layout["fields"]
    assert sorted(field["path"] for field in fields) == sorted(types)
    assert layout["required"] == [field["path"] for field in fields]
    assert layout["excluded"] == []
    assert layout["intent"]
    assert len({field["label"] for field in fields}) == len(fields)
    for field in fields:
        assert types[field["path"]] in FITTING[field["format"]], field
    machine = [types[field["path"]] in MACHINE_ONLY for field in fields]
    assert machine == sorted(machine)  # what a person can read comes first
    assert not machine[0]


@pytest.mark.parametrize("name", NAMES)
def test_descriptor_names_the_domain_of_its_contract(market: Market, name: str) -> None:
    address = {"Escrow": market.escrow, "DeliveryTracking": market.tracking, "Warranty": market.warranty}[name]
    domain = market.read(name, address, "eip712Domain")
    binding = descriptor(name)["context"]["eip712"]
    assert binding["domain"] == {"name": domain["name"], "version": domain["version"]}
    for schema in binding["schemas"]:
        fields = [field["name"] for field in schema["types"]["EIP712Domain"]]
        assert fields == ["name", "version", "chainId", "verifyingContract"]


def test_references_lead_somewhere() -> None:
    enums = descriptor("DeliveryTracking")["metadata"]["enums"]
    assert set(enums["checkpoint"]) == {str(code) for code in range(1, 9)}
    references = re.findall(r'"\$ref": "([^"]+)"', "".join(path.read_text() for path in FOLDER.glob("*.json")))
    assert set(references) == {"$.metadata.enums.checkpoint"}
    token = [field for _, layout in shown() for field in layout["fields"] if "tokenPath" in field.get("params", {})]
    assert [field["params"]["tokenPath"] for field in token] == ["token"]
