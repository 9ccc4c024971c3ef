"""Write the test vectors of docs/spec/14: `python tests/vectors/generate_peers.py`.

Every file is `{"spec": …, "cases": […]}`. `question` and `answer` are payloads of frames in hex; `told` is what a
reader takes from the answer, `about` what it takes from the question. In an invalid case one of the two is refused with
`error`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from halle_protocol import dagcbor

HERE = Path(__file__).parent
SPEC = "docs/spec/14-reaching.md"
PEER = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
OTHER = "12D3KooWFfnYNNrzDa5jtTnYLGG4bG4QH2Um8Hud2naVuSgCrP6s"
DIRECT = f"/ip4/203.0.113.7/tcp/4480/p2p/{PEER}"
CIRCUIT = f"/dns4/relay.example/tcp/4480/p2p/{OTHER}/p2p-circuit/p2p/{PEER}"
QUIC = f"/ip4/203.0.113.7/udp/4480/quic-v1/p2p/{PEER}"
TWICE = f"/ip4/203.0.113.7/tcp/1/p2p/{OTHER}/p2p-circuit/p2p/{OTHER}/p2p-circuit/p2p/{PEER}"
Case = dict[str, Any]


def valid() -> Iterator[Case]:
    """Yield the cases that a reader must accept."""
    for name, about in (("for anybody", None), ("for one peer", PEER)):
        yield {"name": name, "question": dagcbor.encode({"about": about}).hex(), "about": about}
    for name, addrs, taken in (
        ("a direct address", [DIRECT], [DIRECT]),
        ("an address through a relay", [CIRCUIT, DIRECT], [CIRCUIT, DIRECT]),
        ("other transports are passed over", [QUIC, DIRECT], [DIRECT]),
        ("an address of another peer is passed over", [DIRECT.replace(PEER, OTHER), DIRECT], [DIRECT]),
        ("an address through two relays is passed over", [TWICE], []),
        ("only eight addresses are read", [DIRECT] * 9, [DIRECT] * 8),
        ("addresses that are no text are passed over", [5, DIRECT], [DIRECT]),
    ):
        yield {"name": name, "answer": _answer([{"id": PEER, "addrs": addrs}]), "told": {PEER: taken}}
    yield {"name": "nobody", "answer": _answer([]), "told": {}}
    more = dagcbor.encode({"peers": [{"id": PEER, "addrs": [], "since": 5}], "later": True}).hex()
    yield {"name": "unknown fields", "answer": more, "told": {PEER: []}}


def invalid() -> Iterator[Case]:
    """Yield the cases that a reader must refuse."""
    for name, question, error in (
        ("not a map", [PEER], "peers-shape"),
        ("no field", {}, "peers-shape"),
        ("another field", {"about": None, "and": 1}, "peers-shape"),
        ("no peer id", {"about": "anybody"}, "peers-shape"),
        ("a number", {"about": 5}, "peers-shape"),
    ):
        yield {"name": f"question: {name}", "question": dagcbor.encode(question).hex(), "error": error}
    for name, answer, error in (
        ("not a map", [], "peers-shape"),
        ("no peers", {}, "peers-shape"),
        ("peers that are no list", {"peers": {}}, "peers-shape"),
        ("seventeen peers", {"peers": [{"id": PEER, "addrs": []}] * 17}, "peers-shape"),
        ("a peer without addresses", {"peers": [{"id": PEER}]}, "peers-shape"),
        ("a peer without an id", {"peers": [{"addrs": []}]}, "peers-shape"),
        ("an id that is none", {"peers": [{"id": "me", "addrs": []}]}, "peers-shape"),
    ):
        yield {"name": f"answer: {name}", "answer": dagcbor.encode(answer).hex(), "error": error}
    yield {"name": "answer: not DAG-CBOR", "answer": "ff", "error": "cbor-indefinite"}


def _answer(peers: list[Any]) -> str:
    return dagcbor.encode({"peers": peers}).hex()


FILES: dict[str, Callable[[], Iterator[Case]]] = {"peers_valid": valid, "peers_invalid": invalid}


def text_of(name: str) -> str:
    """Return the JSON text of one file."""
    return json.dumps({"spec": SPEC, "cases": list(FILES[name]())}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    for name in FILES:
        (HERE / f"{name}.json").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
