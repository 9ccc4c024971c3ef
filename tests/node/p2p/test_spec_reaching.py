"""docs/spec/14-reaching.md: its vectors hold, and its numbers are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from halle_node.p2p import NetworkConfig, circuit, dialing, introductions, reach
from halle_node.p2p.addresses import MAX_ADDRS, is_circuit, relay_of, split_addr, transports
from halle_protocol.errors import ProtocolError, Refused

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "spec" / "14-reaching.md").read_text(encoding="utf-8")
PEER = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
RELAY = "12D3KooWFfnYNNrzDa5jtTnYLGG4bG4QH2Um8Hud2naVuSgCrP6s"
Case = dict[str, Any]


def cases(name: str, field: str) -> list[Any]:
    body = json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in body["cases"] if field in case]


@pytest.mark.parametrize("case", cases("peers_valid", "question"))
def test_question_is_read(case: Case) -> None:
    assert introductions._parse_request(bytes.fromhex(case["question"])) == case["about"]


@pytest.mark.parametrize("case", cases("peers_valid", "answer"))
def test_answer_is_read(case: Case) -> None:
    assert introductions._parse_answer(bytes.fromhex(case["answer"])) == case["told"]


@pytest.mark.parametrize("case", cases("peers_invalid", "question"))
def test_question_is_refused(case: Case) -> None:
    with pytest.raises(ProtocolError) as refusal:
        introductions._parse_request(bytes.fromhex(case["question"]))
    assert refusal.value.code == case["error"]


@pytest.mark.parametrize("case", cases("peers_invalid", "answer"))
def test_answer_is_refused(case: Case) -> None:
    with pytest.raises(ProtocolError) as refusal:
        introductions._parse_answer(bytes.fromhex(case["answer"]))
    assert refusal.value.code == case["error"]


def test_vectors_are_those_of_their_generator() -> None:
    from vectors import generate_peers

    for name in generate_peers.FILES:
        assert (ROOT / "tests" / "vectors" / f"{name}.json").read_text(encoding="utf-8") == generate_peers.text_of(name)


def test_circuit_address_is_taken_apart_and_used_without_its_peer_id_too() -> None:
    place = f"/ip4/203.0.113.7/tcp/4480/p2p/{RELAY}/p2p-circuit"
    assert split_addr(f"{place}/p2p/{PEER}") == (place, PEER)
    assert is_circuit(place)
    assert relay_of(place) == ("/ip4/203.0.113.7/tcp/4480", RELAY)
    assert transports(PEER, [f"{place}/p2p/{PEER}", place, f"{place}/p2p/{RELAY}"]) == [place, place]


@pytest.mark.parametrize(
    "addr", ["/p2p-circuit/p2p/" + PEER, f"/ip4/203.0.113.7/tcp/1/p2p-circuit/p2p/{PEER}", f"/p2p/{RELAY}/p2p-circuit"]
)
def test_circuit_address_without_its_relay_is_refused(addr: str) -> None:
    with pytest.raises(Refused):
        split_addr(addr)


@pytest.mark.parametrize(
    ("addr", "scope"),
    [
        ("/ip4/127.0.0.1/tcp/1", 0),
        ("/ip6/::1/tcp/1", 0),
        ("/ip4/192.168.1.2/tcp/1", 1),
        ("/ip4/8.8.8.8/tcp/1", 2),
        ("/dns4/shop.example/tcp/1", 2),
        ("/ip4/999.1.1.1/tcp/1", -1),
    ],
)
def test_networks_have_an_order(addr: str, scope: int) -> None:
    assert introductions._scope(addr) == scope


def test_page_names_the_defaults_of_the_code() -> None:
    config = NetworkConfig()
    told = {name: int(value) for name, value in re.findall(r"^\| ([a-z ,]+) \| (\d+) \|$", PAGE, re.MULTILINE)}
    assert told == {
        "places": config.relay_reservations,
        "life of a reservation, seconds": config.relay_reservation_s,
        "circuits at a time": config.relay_circuits,
        "circuits of one peer, either end": config.relay_circuits_per_peer,
        "life of a circuit, seconds": config.relay_circuit_s,
        "megabytes of a circuit": config.relay_circuit_mb,
        "relay requests of a peer a minute": config.relay_requests_per_minute,
    }


def test_page_names_the_limits_of_the_code() -> None:
    config = NetworkConfig()
    told = {
        "at most 4,096 bytes": circuit.MAX_MESSAGE_BYTES,
        "at most 4 addresses of a question": reach.MAX_DIALS,
        "at most 30 questions": config.dial_backs_per_minute,
        "at most every 10 minutes": int(reach.RECHECK_S // 60),
        "or null | 256": introductions.MAX_REQUEST_BYTES,
        "maps | 32,768": introductions.MAX_ANSWER_BYTES,
        "at most 16 maps": introductions.MAX_PEERS,
        "at most 8 are read": MAX_ADDRS,
        "at most 128\n": dialing.MAX_LEARNED,
        "up to 3 peers": introductions.MAX_ASKED,
        "at most 60 questions": config.introductions_per_minute,
    }
    for words, number in told.items():
        assert words in PAGE, words
        assert str(number) in words.replace(",", ""), words
    for name in (circuit.HOP, circuit.STOP, reach.AUTONAT, introductions.PROTOCOL):
        assert f"`{name}`" in PAGE
