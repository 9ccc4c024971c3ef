// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Status} from "./interfaces/IEscrow.sol";

/// @notice All the state of one order: status 8 | deadline 40 | paidOut 128 | spare 80 bits, from the lowest.
type OrderWord is uint256;

using {status, isRunning, deadline, paidOut} for OrderWord global;

function orderWord(Status status_, uint256 deadline_, uint256 paidOut_) pure returns (OrderWord) {
    return OrderWord.wrap(uint256(status_) | (deadline_ << 8) | (paidOut_ << 48));
}

function status(OrderWord w) pure returns (Status s) {
    // Only `orderWord` writes the lowest byte: it is a Status.
    assembly ("memory-safe") {
        s := and(w, 0xff)
    }
}

/// @dev Accepted, Shipped, Delivered, Disputed or Escalated: the merchant has taken the order on, the money is held.
function isRunning(OrderWord w) pure returns (bool) {
    uint256 s = OrderWord.unwrap(w) & 0xff; // as a number: comparing enums checks their range each time
    return s > uint256(Status.Offered) && s < uint256(Status.Closed);
}

function deadline(OrderWord w) pure returns (uint40) {
    return uint40(OrderWord.unwrap(w) >> 8);
}

function paidOut(OrderWord w) pure returns (uint128) {
    return uint128(OrderWord.unwrap(w) >> 48);
}
