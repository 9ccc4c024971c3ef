// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Terms} from "./interfaces/IEscrow.sol";

/// @notice The same eighteen words of calldata as `Terms`, read without the compiler's check of each field's type.
/// @dev That check costs 60 gas and more per read. `Escrow` checks all types once, at funding; the id of an order hashes
/// the raw words, so no later call finds an order with words that were not checked. Field order must be that of `Terms`.
struct RawTerms {
    uint256 merchant;
    uint256 buyer;
    uint256 token;
    uint256 amount;
    uint256 arbiter;
    uint256 backupArbiter;
    uint256 arbiterFeeBps;
    uint256 defaultBuyerBps;
    uint256 validUntil;
    uint256 acceptWithin;
    uint256 shipWithin;
    uint256 deliverWithin;
    uint256 inspectWithin;
    uint256 arbiterWithin;
    uint256 carrier;
    uint256 deliveryCode;
    uint256 proofRequired;
    uint256 orderHash;
}

using {merchantOf, tokenOf, arbiterOf, backupArbiterOf, carrierOf, proofIsRequired} for RawTerms global;

/// @dev A cast: both structs are nothing but the place in calldata at which the words start.
function raw(Terms calldata t) pure returns (RawTerms calldata r) {
    assembly ("memory-safe") {
        r := t
    }
}

function merchantOf(RawTerms calldata t) pure returns (address) {
    return address(uint160(t.merchant));
}

function tokenOf(RawTerms calldata t) pure returns (address) {
    return address(uint160(t.token));
}

function arbiterOf(RawTerms calldata t) pure returns (address) {
    return address(uint160(t.arbiter));
}

function backupArbiterOf(RawTerms calldata t) pure returns (address) {
    return address(uint160(t.backupArbiter));
}

function carrierOf(RawTerms calldata t) pure returns (address) {
    return address(uint160(t.carrier));
}

function proofIsRequired(RawTerms calldata t) pure returns (bool) {
    return t.proofRequired != 0;
}
