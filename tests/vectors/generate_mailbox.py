"""Write the test vectors of docs/spec/15: `python tests/vectors/generate_mailbox.py`.

Every file is `{"spec": …, "cases": […]}`; bytes are hex. `acknowledgement` and `proof` cases carry what the check is
made against; `request` and `collect` cases are the payloads of both sides in order, with the mailbox's random challenge
given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import samples_people as s
from halle_protocol import dagcbor
from halle_protocol.grant import Grant
from halle_protocol.mailbox import Acknowledgement, acknowledge, prove_collector
from halle_protocol.sealing import Envelope

HERE = Path(__file__).parent
SPEC = "docs/spec/15-mailbox.md"
Case = dict[str, Any]
OTHER_PEER = "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust"
NONCE = bytes(range(32))
UNTIL = s.NOW + 14 * s.DAY


def envelope(number: int = 0) -> bytes:
    """Return an envelope for the merchant; what is sealed in it does not matter here."""
    return Envelope(s.MERCHANT, "0123456789abcdef", bytes([number + 1]) * 40).encode()


def digest(number: int = 0) -> bytes:
    return sha256(envelope(number)).digest()


def word(number: int = 0, outcome: str = "ok", *, key: bytes = s.OPERATOR_KEY, **given: Any) -> Acknowledgement:
    given = {"grant": s.grant()} | given
    return acknowledge(key, store=s.MERCHANT, envelope=digest(number), outcome=outcome, **given)


# --- 1 acknowledgements


def _acknowledgement(name: str, data: bytes, **more: Any) -> Case:
    return {
        "kind": "acknowledgement",
        "name": name,
        "data": data.hex(),
        "store": s.MERCHANT.hex(),
        "envelope": digest().hex(),
        "now": s.NOW,
        "min_sequence": 0,
    } | more


def acknowledgement_valid() -> Iterator[Case]:
    yield _acknowledgement("processed, by the operator", word().encode(), outcome="ok")
    by_store = word(key=s.MERCHANT_KEY, grant=None)
    yield _acknowledgement("processed, by the store itself", by_store.encode(), outcome="ok")
    yield _acknowledgement("refused for good", word(outcome="not-for-sale").encode(), outcome="not-for-sale")


def acknowledgement_invalid() -> Iterator[Case]:
    good = dagcbor.decode(word().encode())

    def changed(**fields: Any) -> bytes:
        return dagcbor.encode(good | fields)

    wrong_scope: Grant = s.grant(scopes=("publish",))
    for name, data, error, more in (
        ("about another envelope", word(1).encode(), "acknowledgement-other", {}),
        ("outcome changed after signing", changed(outcome="not-for-sale"), "not-authorised", {}),
        ("outcome with capitals", changed(outcome="Refused"), "acknowledgement-shape", {}),
        ("an unknown field", changed(also=1), "acknowledgement-shape", {}),
        ("signed by a stranger", word(key=s.STRANGER_KEY, grant=None).encode(), "not-authorised", {}),
        ("operator without its grant", word(grant=None).encode(), "not-authorised", {}),
        ("grant without the scope", word(grant=wrong_scope).encode(), "grant-scope", {}),
        ("grant that a later one revoked", word().encode(), "grant-revoked", {"min_sequence": 2}),
        ("grant that has ended", word().encode(), "grant-expired", {"now": s.NOW + 40 * s.DAY}),
        ("signature cut short", changed(sig=bytes(64)), "acknowledgement-shape", {}),
        ("over 2,048 bytes", changed(also=bytes(2048)), "acknowledgement-too-large", {}),
        ("not DAG-CBOR", b"\xff", "cbor-indefinite", {}),
    ):
        yield _acknowledgement(name, data, error=error, **more)


# --- 3 proofs


def _prove(key: bytes = s.OPERATOR_KEY, **changes: Any) -> bytes:
    given = {"store": s.MERCHANT, "mailbox": OTHER_PEER, "collector": s.PEER_ID, "nonce": NONCE, "grant": s.grant()}
    return prove_collector(key, **(given | changes))


def _proof(name: str, data: bytes, **more: Any) -> Case:
    return {
        "kind": "proof",
        "name": name,
        "data": data.hex(),
        "store": s.MERCHANT.hex(),
        "mailbox": OTHER_PEER,
        "collector": s.PEER_ID,
        "nonce": NONCE.hex(),
        "now": s.NOW,
        "min_sequence": 0,
    } | more


def proof_valid() -> Iterator[Case]:
    yield _proof("by the operator", _prove())
    yield _proof("by the store itself", _prove(s.MERCHANT_KEY, grant=None))


def proof_invalid() -> Iterator[Case]:
    for name, data, error, more in (
        ("for another mailbox", _prove(mailbox=s.PEER_ID), "not-authorised", {}),
        ("by another collector", _prove(collector=OTHER_PEER), "not-authorised", {}),
        ("to another challenge", _prove(nonce=bytes(32)), "not-authorised", {}),
        ("for another store", _prove(store=s.BUYER), "not-authorised", {}),
        ("by a stranger", _prove(s.STRANGER_KEY, grant=None), "not-authorised", {}),
        ("grant that a later one revoked", _prove(), "grant-revoked", {"min_sequence": 2}),
        ("another type", dagcbor.encode({"type": "halle/collect/2", "sig": bytes(65)}), "collect-shape", {}),
        ("grant is no bytes", dagcbor.encode(dagcbor.decode(_prove()) | {"grant": 1}), "collect-shape", {}),
        ("over 2,048 bytes", dagcbor.encode({"type": "halle/collect/1", "sig": bytes(2048)}), "collect-too-large", {}),
    ):
        yield _proof(name, data, error=error, **more)


# --- 2 requests


def _answer(**fields: Any) -> bytes:
    return dagcbor.encode(fields)


def request_valid() -> Iterator[Case]:
    refused = _answer(ok=False, code="quota-recipient", message="Full.", retry=True)
    gone = _answer(ok=False, code="letter-unknown", message="No such envelope is here.", retry=False)
    signed = word().encode()
    for name, asked, answer, outcome in (
        ("left", b"D" + envelope(), _answer(ok=True, until=UNTIL), {"until": UNTIL}),
        ("left before and signed for", b"D" + envelope(), _answer(ok=True, until=UNTIL, acknowledgement=signed), None),
        ("full", b"D" + envelope(), refused, {"code": "quota-recipient", "retry": True}),
        ("still here", b"Q" + digest(), _answer(ok=True, until=UNTIL), {"until": UNTIL}),
        ("signed for", b"Q" + digest(), _answer(ok=True, until=UNTIL, acknowledgement=signed), None),
        ("not here", b"Q" + digest(), gone, {"code": "letter-unknown", "retry": False}),
        ("with a field of tomorrow", b"Q" + digest(), _answer(ok=True, until=UNTIL, hint="x"), {"until": UNTIL}),
    ):
        expected = {"until": UNTIL, "acknowledgement": signed.hex()} if outcome is None else outcome
        yield {"kind": "request", "name": name, "asker": [asked.hex()], "mailbox": [answer.hex()], "outcome": expected}


def request_invalid() -> Iterator[Case]:
    for name, payload in (
        ("unknown letter", b"X"),
        ("empty payload", b""),
        ("query of 31 bytes", b"Q" + bytes(31)),
        ("store of 19 bytes", b"C" + bytes(19)),
    ):
        yield _broken(name, "asker", [payload], "mailbox-shape")
    for name, answer in (
        ("answer without until", _answer(ok=True)),
        ("acknowledgement is no bytes", _answer(ok=True, until=UNTIL, acknowledgement="yes")),
        ("answer is no map", b"\x80"),
        ("answer without ok and code", _answer(retry=True)),
    ):
        yield _broken(name, "mailbox", [answer], "peer-gone", asks="request")


def _broken(name: str, sent_by: str, payloads: list[bytes], error: str, **more: Any) -> Case:
    shown = [payload.hex() for payload in payloads]
    return {"kind": "broken", "name": name, "sent_by": sent_by, "payloads": shown, "error": error} | more


# --- 2 collection


def collect_valid() -> Iterator[Case]:
    ask = [b"C" + s.MERCHANT, b"P" + _prove()]
    challenge = b"N" + NONCE
    first, second = word().encode(), word(1, "not-for-sale").encode()
    for name, mailbox, collector, held in (
        ("nothing is here", [challenge, b"E\x00", b"E"], [*ask, b"E"], []),
        (
            "two letters, one processed and one refused",
            [challenge, b"M" + envelope(), b"M" + envelope(1), b"E\x00", b"E"],
            [*ask, b"A" + first, b"A" + second, b"E"],
            [0, 1],
        ),
        (
            "a letter that cannot be processed now stays, and there are more",
            [challenge, b"M" + envelope(2), b"M" + envelope(), b"E\x01", b"E"],
            [*ask, b"A" + first, b"E"],
            [2, 0],
        ),
    ):
        yield {
            "kind": "collect",
            "name": name,
            "nonce": NONCE.hex(),
            "now": s.NOW,
            "store": s.MERCHANT.hex(),
            "held": [envelope(number).hex() for number in held],
            "asker": [payload.hex() for payload in collector],
            "mailbox": [payload.hex() for payload in mailbox],
        }


def collect_invalid() -> Iterator[Case]:
    ask = [b"C" + s.MERCHANT, b"P" + _prove()]
    refused = _answer(ok=False, code="mailbox-not-served", message="Not here.", retry=False)
    for name, payloads, error in (
        ("challenge of 31 bytes", [b"N" + bytes(31)], "mailbox-shape"),
        ("letter before the proof", [b"M" + envelope()], "mailbox-shape"),
        ("refused", [refused], "mailbox-not-served"),
        ("end that says neither", [b"N" + NONCE, b"E\x02"], "mailbox-shape"),
        ("33 letters", [b"N" + NONCE, *[b"M" + envelope()] * 33, b"E\x00", b"E"], "mailbox-shape"),
        ("not confirmed", [b"N" + NONCE, b"E\x00"], "peer-gone"),
    ):
        yield _broken(name, "mailbox", payloads, error, asks="collect")
    for name, payloads, error in (
        ("proof by a stranger", [ask[0], b"P" + _prove(s.STRANGER_KEY, grant=None)], "not-authorised"),
        ("no proof", [ask[0], b"E"], "mailbox-shape"),
        ("more signatures than letters", [*ask, b"A" + word().encode(), b"E"], "mailbox-shape"),
        ("signatures do not end", [*ask, b"X"], "mailbox-shape"),
    ):
        yield _broken(name, "asker", payloads, error)


VALID = (acknowledgement_valid, proof_valid, request_valid, collect_valid)
INVALID = (acknowledgement_invalid, proof_invalid, request_invalid, collect_invalid)
FILES: dict[str, tuple[Callable[[], Iterator[Case]], ...]] = {"mailbox_valid": VALID, "mailbox_invalid": INVALID}


def text_of(name: str) -> str:
    """Return the JSON text of one file."""
    value = {"spec": SPEC, "cases": [case for make in FILES[name] for case in make()]}
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    for name in FILES:
        (HERE / f"{name}.json").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
