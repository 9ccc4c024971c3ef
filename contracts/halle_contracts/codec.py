"""Calldata, results, events and errors of the contracts, by name.

Addresses go in as 20 bytes or hex text and come out as 20 bytes. Structs go in as tuples, dicts or
dataclasses with the fields' names and come out as dicts with the Solidity names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from halle_contracts.artifacts import artifact
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

Parameter = dict[str, Any]
PANIC = bytes.fromhex("4e487b71")
ERROR = bytes.fromhex("08c379a0")


@dataclass(frozen=True)
class Entry:
    """One function, event or error of an ABI."""

    name: str
    signature: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    digest: bytes

    @property
    def selector(self) -> bytes:
        return self.digest[:4]


def encode_call(contract: str, function: str, *args: object) -> bytes:
    """Return the calldata of a call.

    Raises: LocalProtocolError("function-unknown" | "bad-arguments").
    """
    entry = _named(contract, "function", function)
    return entry.selector + _encode(entry.inputs, args, f"{contract}.{function}")


def encode_constructor(contract: str, *args: object) -> bytes:
    """Return the creation code with its constructor's arguments appended."""
    constructors = [item for item in artifact(contract).abi if item["type"] == "constructor"]
    inputs = tuple(constructors[0]["inputs"]) if constructors else ()
    return artifact(contract).bytecode + _encode(inputs, args, f"{contract}.constructor")


def decode_result(contract: str, function: str, data: bytes) -> Any:
    """Return what a call returned: one value, a dict of named values, or a tuple."""
    outputs = _named(contract, "function", function).outputs
    values = _decode(outputs, data, f"{contract}.{function}")
    if len(outputs) == 1:
        return values[0]
    if all(output["name"] for output in outputs):
        return {output["name"]: value for output, value in zip(outputs, values, strict=True)}
    return tuple(values)


def decode_call(contract: str, calldata: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return (function name, arguments by name) of calldata; None for a function the contract does not have.

    Raises: RemoteProtocolError("bad-abi-data").
    """
    entry = _by_digest(contract, "function").get(bytes(calldata[:4]))
    if entry is None:
        return None
    values = _decode(entry.inputs, calldata[4:], entry.signature)
    return entry.name, {item["name"]: value for item, value in zip(entry.inputs, values, strict=True)}


def decode_event(contract: str, topics: list[bytes], data: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return (event name, arguments by name) of a log; None for an event the contract does not have.

    Raises: RemoteProtocolError("bad-abi-data").
    """
    if not topics:
        return None
    entry = _by_digest(contract, "event").get(bytes(topics[0]))
    if entry is None:
        return None
    indexed = [item for item in entry.inputs if item["indexed"]]
    if len(indexed) != len(topics) - 1:
        return None
    plain = [item for item in entry.inputs if not item["indexed"]]
    found = dict(zip((item["name"] for item in plain), _decode(plain, data, entry.signature), strict=True))
    for item, topic in zip(indexed, topics[1:], strict=True):
        found[item["name"]] = _decode([item], bytes(topic), entry.signature)[0]
    return entry.name, {item["name"]: found[item["name"]] for item in entry.inputs}


def decode_revert(contract: str, data: bytes) -> tuple[str, dict[str, Any]]:
    """Return (error name, arguments by name) of revert data; ("Unknown", {"data": …}) for a foreign error."""
    selector, body = bytes(data[:4]), bytes(data[4:])
    entry = _by_digest(contract, "error").get(selector)
    try:
        if entry is not None:
            values = _decode(entry.inputs, body, entry.signature)
            return entry.name, {item["name"]: value for item, value in zip(entry.inputs, values, strict=True)}
        if selector == ERROR:
            return "Error", {"message": _decode([{"type": "string", "name": "message"}], body, "Error")[0]}
        if selector == PANIC:
            return "Panic", {"code": _decode([{"type": "uint256", "name": "code"}], body, "Panic")[0]}
    except RemoteProtocolError:
        pass  # A contract may revert with any bytes: undecodable ones are shown raw.
    return "Unknown", {"data": bytes(data)}


def event_topic(contract: str, event: str) -> bytes:
    """Return topic 0 of an event."""
    return _named(contract, "event", event).digest


def function_selector(contract: str, function: str) -> bytes:
    """Return the four bytes that start a call's data."""
    return _named(contract, "function", function).selector


def type_text(item: Parameter) -> str:
    """Return the canonical type of an ABI parameter, structs as tuples."""
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(type_text(part) for part in item["components"]) + ")" + kind[len("tuple") :]


@cache
def _entries(contract: str, kind: str) -> tuple[Entry, ...]:
    from halle_protocol.keys import keccak256

    found = []
    for item in artifact(contract).abi:
        if item["type"] != kind:
            continue
        inputs = tuple(item["inputs"])
        signature = f"{item['name']}({','.join(type_text(part) for part in inputs)})"
        outputs = tuple(item.get("outputs", ()))
        found.append(Entry(item["name"], signature, inputs, outputs, keccak256(signature.encode())))
    return tuple(found)


@cache
def _by_digest(contract: str, kind: str) -> dict[bytes, Entry]:
    entries = _entries(contract, kind)
    return {entry.digest if kind == "event" else entry.selector: entry for entry in entries}


@cache
def _named(contract: str, kind: str, name: str) -> Entry:
    """Overloads are told apart by their whole signature: "safeTransferFrom(address,address,uint256)"."""
    found = [entry for entry in _entries(contract, kind) if name in (entry.name, entry.signature)]
    if len(found) == 1:
        return found[0]
    raise LocalProtocolError(f"{contract} has {len(found)} {kind}s called {name!r}.", code=f"{kind}-unknown")


def _encode(inputs: tuple[Parameter, ...], args: tuple[object, ...], where: str) -> bytes:
    from eth_abi.abi import encode
    from eth_abi.exceptions import EncodingError

    if len(args) != len(inputs):
        raise LocalProtocolError(f"{where} takes {len(inputs)} arguments, got {len(args)}.", code="bad-arguments")
    values = [_plain(item, value) for item, value in zip(inputs, args, strict=True)]
    try:
        return encode([type_text(item) for item in inputs], values)
    except (EncodingError, TypeError, ValueError, AttributeError) as exc:
        raise LocalProtocolError(f"{where}: {exc}", code="bad-arguments") from exc


def _decode(outputs: tuple[Parameter, ...] | list[Parameter], data: bytes, where: str) -> list[Any]:
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    try:
        values = decode([type_text(item) for item in outputs], bytes(data))
    except (DecodingError, OverflowError, ValueError) as exc:
        raise RemoteProtocolError(f"{where}: {exc}", code="bad-abi-data") from exc
    return [_named_value(item, value) for item, value in zip(outputs, values, strict=True)]


def _plain(item: Parameter, value: Any) -> Any:
    """Turn a value into what eth_abi wants: structs by position, addresses as hex text."""
    kind = str(item["type"])
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")]}
        return [_plain(inner, part) for part in value]
    if kind == "tuple":
        parts = item["components"]
        return tuple(_plain(part, field) for part, field in zip(parts, _fields(parts, value), strict=True))
    if kind == "address" and isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    return value


def _fields(parts: list[Parameter], value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value[part["name"]] for part in parts]
    if isinstance(value, tuple | list):
        return list(value)
    return [getattr(value, _snake(part["name"])) for part in parts]


def _named_value(item: Parameter, value: Any) -> Any:
    kind = str(item["type"])
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")]}
        return [_named_value(inner, part) for part in value]
    if kind == "tuple":
        return {part["name"]: _named_value(part, field) for part, field in zip(item["components"], value, strict=True)}
    if kind == "address":
        return bytes.fromhex(value[2:])
    return value


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
