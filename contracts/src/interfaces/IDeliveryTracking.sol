// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice One statement of a carrier about one shipment.
struct Attestation {
    bytes32 shipmentId;
    /// 1 accepted 2 inTransit 3 outForDelivery 4 readyForPickup 5 failedAttempt 6 delivered 7 returned 8 exception.
    uint8 status;
    /// When it happened (unix seconds), at most ten minutes ahead of the block.
    uint40 at;
    /// Hash of the detail, which stays off chain, sealed to the buyer.
    bytes32 detailHash;
}

/// @title Halle delivery tracking
/// @notice Anyone is a carrier here; whose word counts is up to the terms of each order.
///
/// Append-only: each checkpoint is an event; storage keeps one word per (carrier, shipment): the newest checkpoint by
/// its own time, and the time of the first delivery, which nothing overwrites.
interface IDeliveryTracking {
    /// A carrier's word, kept for ever; also when a newer one is known.
    event Checkpoint(bytes32 indexed shipmentId, address indexed carrier, uint8 status, uint40 at, bytes32 detailHash);

    /// The status is not one of the eight codes.
    error UnknownStatus(uint8 status);
    /// The checkpoint lies in the future, or a signed one is not newer than the newest known.
    error BadTime(uint40 at);
    /// The signature may be used until `closedAt` only.
    error TooLate(uint256 closedAt);
    /// The signature is not the carrier's.
    error BadSignature();

    /// @notice The caller, as carrier, records a checkpoint.
    /// @dev Emits `Checkpoint`. Reverts: `UnknownStatus`, `BadTime` for zero or more than ten minutes ahead.
    function attest(bytes32 shipmentId, uint8 status, uint40 at, bytes32 detailHash) external;

    /// @notice `attest` for a whole van.
    /// @dev Emits `Checkpoint` for each. Reverts: as `attest`; one bad checkpoint stops all.
    function attestMany(Attestation[] calldata attestations) external;

    /// @notice Record a checkpoint the carrier signed; anyone may relay.
    /// @dev `sig` signs
    /// `Attestation(address carrier,bytes32 shipmentId,uint8 status,uint40 at,bytes32 detailHash,uint256 deadline)`.
    /// A signed checkpoint must be newer than the newest known one; so no signature works twice.
    /// Emits `Checkpoint`. Reverts: `TooLate` after `deadline`, `BadTime` (also when not newer than the newest
    /// known), `BadSignature`, `UnknownStatus`.
    function attestBySig(address carrier, Attestation calldata a, uint256 deadline, bytes calldata sig) external;

    /// @notice The newest checkpoint of a shipment, and when it was first delivered (0 = not yet).
    function latest(address carrier, bytes32 shipmentId)
        external
        view
        returns (uint8 status, uint40 at, uint40 deliveredAt);
}
