"""The committed vectors of docs/spec/05 to 10 hold, and are what their generator writes."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from halle_protocol.cid import CID
from halle_protocol.cover import Certificate, offer_signer, sign_offer
from halle_protocol.documents import decode_document, parse_body, verify_document
from halle_protocol.errors import RemoteProtocolError
from halle_protocol.grant import Grant, authorise
from halle_protocol.head import Announcement
from halle_protocol.messages import Message, parse_message
from halle_protocol.order import ChainFact, Fact, MessageFact, fold, next_actions
from halle_protocol.sealing import Prekey, generate_keypair, make_prekey, seal, unseal
from halle_protocol.signing import TYPES, recover, sign, typed_digest
from halle_protocol.terms import OrderDocument, Terms, check_binding, explain, sign_terms, terms_signer

VECTORS = Path(__file__).parents[1] / "vectors"
Case = dict[str, Any]


def cases(name: str) -> list[Any]:
    body = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in body["cases"]]


def data_of(value: Any) -> bytes:
    if isinstance(value, dict):
        return bytes.fromhex(value["repeat"]) * value["length"]
    return bytes.fromhex(value)


def from_dag_json(value: Any) -> Any:
    if isinstance(value, list):
        return [from_dag_json(item) for item in value]
    if isinstance(value, dict):
        inner = value.get("/")
        if isinstance(inner, str):
            return CID.parse(inner)
        if isinstance(inner, dict):
            return bytes.fromhex(inner["bytes"])
        return {key: from_dag_json(item) for key, item in value.items()}
    return value


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        call()
    assert caught.value.hint
    return caught.value.code


def test_vectors_are_what_the_generator_writes() -> None:
    spec = importlib.util.spec_from_file_location("generate_people", VECTORS / "generate_people.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    for name in generator.FILES:
        assert (VECTORS / f"{name}.json").read_text(encoding="utf-8") == generator.text_of(name), name


@pytest.mark.parametrize("case", cases("signing_valid"))
def test_signing_reads_a_valid_vector(case: Case) -> None:
    digest = bytes.fromhex(case["digest"])
    assert TYPES[case["name"]] == case["type"]
    assert typed_digest(bytes.fromhex(case["domain"]), bytes.fromhex(case["struct_hash"])) == digest
    assert sign(bytes.fromhex(case["private"]), digest).hex() == case["signature"]
    assert recover(digest, bytes.fromhex(case["signature"])).hex() == case["signer"]


@pytest.mark.parametrize("case", cases("signing_invalid"))
def test_signing_refuses_an_invalid_vector(case: Case) -> None:
    digest, signature = bytes.fromhex(case["digest"]), bytes.fromhex(case["signature"])
    assert refusal(lambda: recover(digest, signature)) == case["error"]


@pytest.mark.parametrize("case", cases("grant_valid"))
def test_grant_reads_a_valid_vector(case: Case) -> None:
    given = Grant.decode(data_of(case["block"]))
    value = from_dag_json(case["value"])
    assert str(given.cid) == case["cid"]
    assert (given.operator, list(given.scopes), given.sequence) == (
        value["operator"],
        value["scopes"],
        value["sequence"],
    )


@pytest.mark.parametrize("case", cases("grant_invalid"))
def test_grant_refuses_an_invalid_vector(case: Case) -> None:
    def read() -> None:
        given = Grant.decode(data_of(case["block"]))
        options = {"scope": case["scope"], "at": case["at"], "min_sequence": case["min_sequence"]}
        authorise(given.operator, given.store, given, **options)

    assert refusal(read) == case["error"]


@pytest.mark.parametrize("case", cases("document_valid"))
def test_document_reads_a_valid_vector(case: Case) -> None:
    document = decode_document(data_of(case["block"]))
    verify_document(document, Grant.decode(data_of(case["grant"])))
    parsed = parse_body(document)
    assert document.body == from_dag_json(case["body"])
    assert (str(document.cid), document.body_hash.hex(), document.signer().hex()) == (
        case["cid"],
        case["body_hash"],
        case["signer"],
    )
    assert parsed is None or parsed.to_body() == document.body


@pytest.mark.parametrize("case", cases("document_invalid"))
def test_document_refuses_an_invalid_vector(case: Case) -> None:
    def read() -> None:
        document = decode_document(data_of(case["block"]))
        verify_document(document)
        parse_body(document)

    assert refusal(read) == case["error"]


@pytest.mark.parametrize("case", cases("head_valid"))
def test_head_reads_a_valid_vector(case: Case) -> None:
    head = Announcement.decode(data_of(case["frame"])).verify(case["now"])
    assert (str(head.cid), head.store.hex(), head.seq, str(head.catalog)) == (
        case["cid"],
        case["store"],
        case["seq"],
        case["catalog"],
    )


@pytest.mark.parametrize("case", cases("head_invalid"))
def test_head_refuses_an_invalid_vector(case: Case) -> None:
    assert refusal(lambda: Announcement.decode(data_of(case["frame"])).verify(case["now"])) == case["error"]


@pytest.mark.parametrize("case", cases("sealing_valid"))
def test_sealing_reads_a_valid_vector(case: Case) -> None:
    seed, info, plaintext = (bytes.fromhex(case[key]) for key in ("seed", "info", "plaintext"))
    private, public = generate_keypair(seed, case["suite"])
    assert public.hex() == case["public"]
    assert make_prekey(seed, 1, case["suite"])[1].id == case["id"]
    assert unseal(bytes.fromhex(case["sealed"]), private, case["suite"], info) == plaintext
    again = seal(plaintext, Prekey(case["id"], case["suite"], public, 1), info)
    assert again.hex() != case["sealed"]
    for size, length in case["sealed_lengths"].items():
        assert len(seal(bytes(int(size)), Prekey(case["id"], case["suite"], public, 1), info)) == length


@pytest.mark.parametrize("case", cases("sealing_invalid"))
def test_sealing_refuses_an_invalid_vector(case: Case) -> None:
    sealed, seed, info = (bytes.fromhex(case[key]) for key in ("sealed", "seed", "info"))
    assert refusal(lambda: unseal(sealed, seed, case["suite"], info)) == case["error"]


@pytest.mark.parametrize("case", cases("cover_valid"))
def test_cover_reads_a_valid_vector(case: Case) -> None:
    paper, contract = Certificate.from_body(from_dag_json(case["certificate"])), bytes.fromhex(case["contract"])
    where = (case["chain_id"], contract)
    assert str(paper.id(*where)) == case["id"]
    assert paper.offer_digest(case["deadline"], *where).hex() == case["digest"]
    assert sign_offer(bytes.fromhex(case["private"]), paper, case["deadline"], *where).hex() == case["signature"]
    signer = offer_signer(paper, case["deadline"], bytes.fromhex(case["signature"]), *where)
    assert signer == paper.underwriter
    assert offer_signer(paper, case["deadline"] + 1, bytes.fromhex(case["signature"]), *where) != signer


@pytest.mark.parametrize("case", cases("cover_invalid"))
def test_cover_refuses_an_invalid_vector(case: Case) -> None:
    assert refusal(lambda: Certificate.from_body(from_dag_json(case["certificate"]))) == case["error"]


@pytest.mark.parametrize("case", cases("message_valid"))
def test_message_reads_a_valid_vector(case: Case) -> None:
    message = Message.decode(data_of(case["bytes"]))
    message.verify(to=bytes.fromhex(case["to"]))
    parse_message(message)
    assert message.encode().hex() == case["bytes"]
    assert message.body == from_dag_json(case["body"])
    assert (message.type, message.sender.hex(), message.digest().hex()) == (
        case["type"],
        case["sender"],
        case["digest"],
    )


@pytest.mark.parametrize("case", cases("message_invalid"))
def test_message_refuses_an_invalid_vector(case: Case) -> None:
    def read() -> None:
        message = Message.decode(data_of(case["bytes"]))
        if case["error"] != "body-invalid":
            message.verify(now=case["now"])
        parse_message(message)

    assert refusal(read) == case["error"]


@pytest.mark.parametrize("case", cases("terms_valid"))
def test_terms_read_a_valid_vector(case: Case) -> None:
    agreed, escrow = Terms.from_body(from_dag_json(case["terms"])), bytes.fromhex(case["escrow"])
    chain, signature = case["chain_id"], bytes.fromhex(case["signature"])
    assert agreed.struct_hash().hex() == case["struct_hash"]
    assert agreed.digest(chain, escrow).hex() == case["digest"]
    assert agreed.order_id(chain, escrow, bytes.fromhex(case["buyer"])).hex() == case["order_id"]
    assert sign_terms(bytes.fromhex(case["private"]), agreed, chain, escrow) == signature
    assert terms_signer(agreed, signature, chain, escrow) == agreed.merchant
    assert isinstance(check_binding(agreed, data_of(case["order_document"])), OrderDocument)
    for locale, words in case["words"].items():
        assert explain(agreed, locale, symbol="EURT", decimals=6) == words


@pytest.mark.parametrize("case", cases("terms_invalid"))
def test_terms_refuse_an_invalid_vector(case: Case) -> None:
    assert refusal(lambda: Terms.from_body(from_dag_json(case["terms"]))) == case["error"]


def _fact(value: Case) -> Fact:
    if "message" in value:
        return MessageFact(Message.decode(bytes.fromhex(value["message"])))
    args = {key: from_dag_json(item) for key, item in value["args"].items()}
    numbers = {key: int(item) if isinstance(item, str) else item for key, item in args.items()}
    return ChainFact(value["event"], numbers, value["at"], value["finality"], tuple(value["position"]))


@pytest.mark.parametrize("case", [*cases("order_valid"), *cases("order_invalid")])
def test_order_folds_to_the_vectors_state(case: Case) -> None:
    facts = [_fact(value) for value in case["facts"]]
    random.Random(1).shuffle(facts)
    state = fold(facts)
    assert {
        "status": state.status.name,
        "deadline": state.deadline,
        "payment": state.payment,
        "fulfilment": state.fulfilment,
        "return": state.return_,
        "how": state.how,
        "amounts": {key: str(value) for key, value in state.amounts.items()},
        "gaps": list(state.gaps),
    } == case["state"]
    for now, by_role in case["actions"].items():
        for role, names in by_role.items():
            assert [action.name for action in next_actions(state, role, int(now))] == names
