"""The compiled contracts: ABI, bytecode, calldata, events and addresses as Python values.

Cheap to import: `eth_abi` (in the `node` extra) is loaded by the first call that encodes or decodes.
"""

from __future__ import annotations

from halle_contracts.artifacts import NAMES, Artifact, artifact
from halle_contracts.causes import CAUSES, UNKNOWN, Cause, cause_of
from halle_contracts.codec import (
    decode_call,
    decode_event,
    decode_result,
    decode_revert,
    encode_call,
    encode_constructor,
    event_topic,
    function_selector,
)
from halle_contracts.deployment import (
    DEPLOYER_ADDRESS,
    DEPLOYER_CODE,
    DEPLOYER_FUNDS_WEI,
    DEPLOYER_RAW_TRANSACTION,
    DEPLOYER_SIGNER,
    DEPLOYMENTS,
    SALT,
    SHIPPED,
    CourtArbiter,
    creation_code,
    deployed_runtime,
    deployment_call,
    predicted_address,
)
from halle_contracts.orders import CLOSED_HOW, STATUS, TERMS_FIELDS, shipment_id, terms_tuple

__all__ = [
    "CAUSES",
    "CLOSED_HOW",
    "DEPLOYER_ADDRESS",
    "DEPLOYER_CODE",
    "DEPLOYER_FUNDS_WEI",
    "DEPLOYER_RAW_TRANSACTION",
    "DEPLOYER_SIGNER",
    "DEPLOYMENTS",
    "NAMES",
    "SALT",
    "SHIPPED",
    "STATUS",
    "TERMS_FIELDS",
    "UNKNOWN",
    "Artifact",
    "Cause",
    "CourtArbiter",
    "artifact",
    "cause_of",
    "creation_code",
    "decode_call",
    "decode_event",
    "decode_result",
    "decode_revert",
    "deployed_runtime",
    "deployment_call",
    "encode_call",
    "encode_constructor",
    "event_topic",
    "function_selector",
    "predicted_address",
    "shipment_id",
    "terms_tuple",
]
