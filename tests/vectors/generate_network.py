"""Write the test vectors of docs/spec/11: `python tests/vectors/generate_network.py`.

Every file is `{"spec": …, "cases": […]}`; the `kind` of a case says which section it is about. Bytes are hex, or
`{"begin": hex, "zeros": n}`; CIDs are their text; `asker` and `answerer` are the payloads of their frames in order,
`wire` is bytes on the stream. In an invalid case the `payloads` come from `sent_by`, and the other side refuses them
with `error`.
The transcripts are made from the rules of the page and from specs 1, 4 and 7, not by the code that they test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import samples_people as s
from halle_protocol import dagcbor, reconcile
from halle_protocol.cid import CID, DAG_CBOR, RAW, cid_of
from halle_protocol.head import Announcement, Head, announce, sign_head
from halle_protocol.keys import address_of
from halle_protocol.reconcile import Item, ItemSet

HERE = Path(__file__).parent
SPEC = "docs/spec/11-network.md"
Case = dict[str, Any]
CATALOG = cid_of(DAG_CBOR, b"\xa0")
OTHER_CATALOG = cid_of(DAG_CBOR, b"\x80")


# --- 2 frames -----------------------------------------------------------------------------------------------


def frame_valid() -> Iterator[Case]:
    for name, payload, length in (
        ("empty", b"", "00"),
        ("one byte", b"E", "01"),
        ("127 bytes", bytes(127), "7f"),
        ("128 bytes", bytes(128), "8001"),
        ("300 bytes", bytes(300), "ac02"),
    ):
        wire = length + payload.hex()
        yield {"kind": "frame", "name": name, "payload": payload.hex(), "limit": 300, "wire": wire}


def frame_invalid() -> Iterator[Case]:
    for name, wire, limit, error in (
        ("length of five bytes", "8080808001", 2**28, "frame-prefix"),
        ("length not of the shortest form", "8000", 300, "frame-prefix"),
        ("length 1 in two bytes", "810045", 300, "frame-prefix"),
        ("over the limit", "ad02", 300, "frame-too-large"),
        ("ended inside the length", "80", 300, "frame-truncated"),
        ("ended inside the payload", "0545", 300, "frame-truncated"),
        ("ended before the frame", "", 300, "peer-gone"),
    ):
        yield {"kind": "frame", "name": name, "wire": wire, "limit": limit, "error": error}


# --- 3 gossip -----------------------------------------------------------------------------------------------


def _head(key: bytes, seq: int, *, at: int = s.NOW, catalog: CID = CATALOG, life: int = 30 * s.DAY) -> Head:
    return sign_head(key, address_of(key), seq, catalog, issued=at, expires=at + life)


def _frame(key: bytes, seq: int, **changes: Any) -> bytes:
    return announce(_head(key, seq, **changes)).encode()


def gossip_valid() -> Iterator[Case]:
    known, key = _frame(s.MERCHANT_KEY, 7), s.MERCHANT_KEY
    forged = dagcbor.decode(_head(key, 8).encode()) | {"catalog": OTHER_CATALOG}
    by_operator = sign_head(
        s.OPERATOR_KEY, s.MERCHANT, 8, CATALOG, issued=s.NOW, expires=s.NOW + s.DAY, grant=s.grant().cid
    )
    for name, verdict, frame in (
        ("of a store not known", "accept", _frame(s.BUYER_KEY, 1)),
        ("newer", "accept", _frame(key, 8)),
        ("newer, signed by the operator", "accept", announce(by_operator, s.grant()).encode()),
        ("known", "ignore", known),
        ("older", "ignore", _frame(key, 6)),
        ("same seq, another catalog", "accept", _frame(key, 7, catalog=OTHER_CATALOG)),
        ("expired", "ignore", _frame(key, 8, at=s.NOW - 40 * s.DAY)),
        ("601 seconds ahead", "ignore", _frame(key, 8, at=s.NOW + 601)),
        ("600 seconds ahead", "accept", _frame(key, 8, at=s.NOW + 600)),
        ("forged catalog", "reject", Announcement(dagcbor.encode(forged)).encode()),
        ("operator without a grant", "reject", announce(by_operator).encode()),
        ("not DAG-CBOR", "reject", b"\xff" * 40),
        ("over 1,024 bytes", "reject", bytes(1025)),
    ):
        yield {
            "kind": "gossip",
            "name": name,
            "now": s.NOW,
            "known": [known.hex()],
            "frame": frame.hex(),
            "verdict": verdict,
        }


# --- 4 reconciliation ---------------------------------------------------------------------------------------


def item_of(frame: bytes) -> Item:
    """Return a head's place in the set."""
    head = Announcement.decode(frame).verify(None)
    return Item(head.issued, head.cid.digest)


def _heads(count: int) -> list[bytes]:
    return [_frame(bytes([n + 10]) * 32, 1 + n % 3, at=s.NOW - 1000 + n) for n in range(count)]


def sync_valid() -> Iterator[Case]:
    yield _sync("both empty", _heads(0), [], [])
    yield _sync("the asker is new", _heads(3), [], [0, 1, 2])
    yield _sync("the answerer is new", _heads(3), [0, 1, 2], [])
    yield _sync("each lacks one", _heads(4), [0, 1, 2], [1, 2, 3])
    everything = list(range(40))
    yield _sync("in step, by fingerprints", _heads(40), everything, everything)
    yield _sync("the newest two are missing, by fingerprints", _heads(40), everything[:-2], everything)


def _sync(name: str, heads: list[bytes], asker_has: list[int], answerer_has: list[int]) -> Case:
    by_id = {item_of(frame).id: frame for frame in heads}
    ours, theirs = (ItemSet(item_of(heads[n]) for n in has) for has in (asker_has, answerer_has))
    asker, answerer, have, need = [], [], [], []
    message: bytes | None = reconcile.initiate(ours)
    while message is not None:
        answer = reconcile.respond(theirs, message)
        asker.append(b"R" + message)
        answerer.append(b"R" + answer)
        message, more_have, more_need = reconcile.absorb(ours, answer)
        have += more_have
        need += more_need
    have, need = list(dict.fromkeys(have)), list(dict.fromkeys(need))
    asker += [b"W" + b"".join(need), *(b"F" + by_id[one] for one in have), b"E"]
    answerer += [*(b"F" + by_id[one] for one in need), b"E", b"E"]
    return {
        "kind": "sync",
        "name": name,
        "heads": [frame.hex() for frame in heads],
        "asker_has": asker_has,
        "answerer_has": answerer_has,
        "asker": [payload.hex() for payload in asker],
        "answerer": [payload.hex() for payload in answerer],
    }


def sync_invalid() -> Iterator[Case]:
    start, frame = b"R" + reconcile.initiate(ItemSet()), b"F" + _heads(1)[0]
    settled = b"R" + reconcile.respond(ItemSet(), start[1:])
    for name, sent_by, payloads, error in (
        ("unknown letter", "asker", [b"X"], "sync-shape"),
        ("empty payload", "asker", [b""], "sync-shape"),
        ("heads before anything was wanted", "asker", [start, frame], "sync-shape"),
        ("wanted ids cut short", "asker", [start, b"W" + bytes(31)], "sync-shape"),
        ("more than 4,096 wanted ids", "asker", [start, b"W" + bytes(32 * 4097)], "sync-shape"),
        ("reconciliation of another version", "asker", [b"R\x60"], "sync-version"),
        ("malformed reconciliation", "asker", [b"R\x61\xff"], "sync-malformed"),
        ("over 65,536 bytes", "asker", [b"R\x61" + bytes(65_536)], "sync-too-large"),
        ("33 rounds", "asker", [start] * 33, "sync-shape"),
        ("answer is no reconciliation", "answerer", [b"E"], "sync-shape"),
        ("more heads than wanted", "answerer", [settled, frame, b"E", b"E"], "sync-too-many"),
        ("not ended", "answerer", [settled, b"E", b"W"], "sync-shape"),
    ):
        yield {
            "kind": "sync",
            "name": name,
            "sent_by": sent_by,
            "payloads": [_short(payload) for payload in payloads],
            "error": error,
        }


def _short(payload: bytes) -> Any:
    """Return hex, or a beginning and a number of zero bytes."""
    shown = payload.rstrip(b"\0")
    zeros = len(payload) - len(shown)
    return payload.hex() if zeros < 100 else {"begin": shown.hex(), "zeros": zeros}


# --- 5 blocks -----------------------------------------------------------------------------------------------

_BLOCKS = {cid_of(RAW, data): data for data in (b"one", b"two", b"three")}
_CBOR_BLOCK = dagcbor.encode({"name": "Camille"})
_BLOCKS[cid_of(DAG_CBOR, _CBOR_BLOCK)] = _CBOR_BLOCK
ONE, TWO, THREE, CBOR = _BLOCKS
ABSENT = cid_of(RAW, b"absent")


def _request(want: Any) -> bytes:
    return dagcbor.encode({"want": want})


def _trailer(later: Any, missing: Any, **more: Any) -> bytes:
    return dagcbor.encode({"later": later, "missing": missing} | more)


def _block(cid: CID) -> bytes:
    return bytes(cid) + _BLOCKS[cid]


def blocks_valid() -> Iterator[Case]:
    yield _blocks("nothing wanted", [], [_trailer([], [])])
    yield _blocks("raw and dag-cbor", [ONE, CBOR], [_block(ONE), _block(CBOR), _trailer([], [])])
    yield _blocks("one is missing", [ONE, ABSENT, TWO], [_block(ONE), _block(TWO), _trailer([], [ABSENT])])
    yield _blocks("wanted twice", [ONE, ONE], [_block(ONE), _trailer([], [])])
    yield _blocks(
        "budget of 3 bytes: one block goes over, the rest later",
        [THREE, ONE, TWO],
        [_block(THREE), _trailer([ONE, TWO], [])],
        max_response_bytes=3,
    )
    yield _blocks("trailer with a field of tomorrow", [ABSENT], [_trailer([], [ABSENT], hint="x")], sides=["asker"])


def _blocks(name: str, want: list[CID], answer: list[bytes], **more: Any) -> Case:
    return {
        "kind": "blocks",
        "name": name,
        "has": {str(cid): data.hex() for cid, data in _BLOCKS.items()},
        "want": [str(cid) for cid in want],
        "asker": [_request(want).hex()],
        "answerer": [payload.hex() for payload in answer],
        "sides": ["asker", "answerer"],
    } | more


def blocks_invalid() -> Iterator[Case]:
    many = [cid_of(RAW, n.to_bytes(2, "big")) for n in range(257)]
    version_0 = b"\xa1dwant\x81\xd8\x2a\x58\x23\x00\x12\x20" + bytes(32)
    for name, payload, error in (
        ("not DAG-CBOR", b"\xff", "cbor-indefinite"),
        ("two values", _request([]) + b"\x00", "cbor-trailing-bytes"),
        ("not a map", dagcbor.encode([ONE]), "blocks-shape"),
        ("an unknown field", dagcbor.encode({"want": [], "also": 1}), "blocks-shape"),
        ("want is not a list", _request(ONE), "blocks-shape"),
        ("a text among the links", _request([str(ONE)]), "blocks-shape"),
        ("257 links", _request(many), "blocks-too-many"),
        ("a CID of version 0", version_0, "cbor-link"),
        ("over 65,536 bytes", _request([bytes(65_600)]), "frame-too-large"),
    ):
        yield {"kind": "blocks", "name": name, "sent_by": "asker", "payloads": [_short(payload)], "error": error}
    for name, payloads, error in (
        ("bytes of another block", [bytes(ONE) + b"two"], "cid-mismatch"),
        ("a block nobody asked for", [_block(THREE)], "block-unasked"),
        ("a block twice", [_block(ONE), _block(ONE)], "block-unasked"),
        ("a CID cut short", [bytes(ONE)[:20]], "cid-malformed"),
        ("a wanted block left out of account", [_block(ONE), _trailer([], [])], "blocks-shape"),
        ("a block both sent and missing", [_block(ONE), _trailer([], [ONE, TWO])], "blocks-shape"),
        ("a block both later and missing", [_block(ONE), _trailer([TWO], [TWO])], "blocks-shape"),
        ("trailer without missing", [_block(ONE), dagcbor.encode({"later": [TWO]})], "blocks-shape"),
        ("no trailer", [_block(ONE), _block(TWO)], "peer-gone"),
    ):
        yield {
            "kind": "blocks",
            "name": name,
            "sent_by": "answerer",
            "want": [str(ONE), str(TWO)],
            "payloads": [_short(payload) for payload in payloads],
            "error": error,
        }


# --- 6 messages ---------------------------------------------------------------------------------------------


def message_valid() -> Iterator[Case]:
    def refused(code: str, words: str, retry: bool) -> bytes:
        return dagcbor.encode({"ok": False, "code": code, "message": words, "retry": retry})

    for name, answer, outcome, code in (
        ("processed", dagcbor.encode({"ok": True}), "delivered", ""),
        ("processed, with a field of tomorrow", dagcbor.encode({"ok": True, "took_ms": 3}), "delivered", ""),
        (
            "refused for good",
            refused("prekey-unknown", "Sealed to a destroyed key.", False),
            "refused",
            "prekey-unknown",
        ),
        ("to be sent again", refused("rate-limited", "Too many.", True), "later", "rate-limited"),
        ("refused without words", dagcbor.encode({"code": "unseal-failed"}), "refused", "unseal-failed"),
        ("code over 64 characters", refused("c" * 70, "", False), "refused", "c" * 64),
    ):
        yield _message(name, answer, outcome, code)


def message_invalid() -> Iterator[Case]:
    for name, answer, code in (
        ("no code", dagcbor.encode({"ok": False}), "peer-gone"),
        ("ok is not a bool", dagcbor.encode({"ok": 1}), "peer-gone"),
        ("a code that is not text", dagcbor.encode({"ok": False, "code": 5}), "peer-gone"),
        ("not a map", dagcbor.encode([True]), "peer-gone"),
        ("not DAG-CBOR", b"\xff", "peer-gone"),
        ("over 4,096 bytes", dagcbor.encode({"ok": True, "pad": bytes(4096)}), "peer-gone"),
    ):
        yield _message(name, answer, "later", code)


def _message(name: str, answer: bytes, outcome: str, code: str) -> Case:
    return {
        "kind": "message",
        "name": name,
        "asker": [b"an envelope".hex()],
        "answerer": [_short(answer)],
        "outcome": outcome,
        "code": code,
    }


VALID = (frame_valid, gossip_valid, sync_valid, blocks_valid, message_valid)
INVALID = (frame_invalid, sync_invalid, blocks_invalid, message_invalid)
FILES: dict[str, tuple[Callable[[], Iterator[Case]], ...]] = {"network_valid": VALID, "network_invalid": INVALID}


def text_of(name: str) -> str:
    """Return the JSON text of one file."""
    value = {"spec": SPEC, "cases": [case for make in FILES[name] for case in make()]}
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    for name in FILES:
        (HERE / f"{name}.json").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
