// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Signed} from "./Signed.sol";
import {Attestation, IDeliveryTracking} from "./interfaces/IDeliveryTracking.sol";

/// @title Halle delivery tracking
/// @dev The interface is the manual.
contract DeliveryTracking is IDeliveryTracking, Signed {
    bytes32 private constant ATTESTATION_TYPEHASH = keccak256(
        "Attestation(address carrier,bytes32 shipmentId,uint8 status,uint40 at,bytes32 detailHash,uint256 deadline)"
    );
    uint8 private constant DELIVERED = 6;
    uint8 private constant LAST_STATUS = 8;
    uint256 private constant CLOCK_DRIFT = 10 minutes;

    struct Latest {
        uint8 status;
        uint40 at;
        uint40 deliveredAt;
    }

    mapping(address carrier => mapping(bytes32 shipmentId => Latest)) private _latest;

    /// @inheritdoc IDeliveryTracking
    function attest(bytes32 shipmentId, uint8 status, uint40 at, bytes32 detailHash) external {
        _record(msg.sender, shipmentId, status, at, detailHash);
    }

    /// @inheritdoc IDeliveryTracking
    function attestMany(Attestation[] calldata attestations) external {
        for (uint256 i = 0; i < attestations.length; ++i) {
            Attestation calldata a = attestations[i];
            _record(msg.sender, a.shipmentId, a.status, a.at, a.detailHash);
        }
    }

    /// @inheritdoc IDeliveryTracking
    function attestBySig(address carrier, Attestation calldata a, uint256 deadline, bytes calldata sig) external {
        // slither-disable-next-line timestamp - a signature's last second, minutes or hours away
        if (block.timestamp > deadline) revert TooLate(deadline);
        if (a.at <= _latest[carrier][a.shipmentId].at) revert BadTime(a.at);
        bytes32 structHash =
            keccak256(abi.encode(ATTESTATION_TYPEHASH, carrier, a.shipmentId, a.status, a.at, a.detailHash, deadline));
        if (!_isSignedBy(carrier, _typedDigest(structHash), sig)) revert BadSignature();
        _record(carrier, a.shipmentId, a.status, a.at, a.detailHash);
    }

    /// @inheritdoc IDeliveryTracking
    function latest(address carrier, bytes32 shipmentId)
        external
        view
        returns (uint8 status, uint40 at, uint40 deliveredAt)
    {
        Latest storage known = _latest[carrier][shipmentId];
        return (known.status, known.at, known.deliveredAt);
    }

    function _record(address carrier, bytes32 shipmentId, uint8 status, uint40 at, bytes32 detailHash) private {
        if (status == 0 || status > LAST_STATUS) revert UnknownStatus(status);
        // slither-disable-next-line timestamp - ten minutes' leeway for the clocks of carriers and validators
        if (at == 0 || at > block.timestamp + CLOCK_DRIFT) revert BadTime(at);
        Latest memory known = _latest[carrier][shipmentId];
        // A checkpoint reported late is kept as an event, but does not replace a newer one.
        if (at >= known.at) (known.status, known.at) = (status, at);
        if (status == DELIVERED && known.deliveredAt == 0) known.deliveredAt = at;
        _latest[carrier][shipmentId] = known;
        emit Checkpoint(shipmentId, carrier, status, at, detailHash);
    }

    function _domainName() internal pure override returns (string memory) {
        return "Halle Delivery Tracking";
    }

    function _domainNameHash() internal pure override returns (bytes32) {
        return keccak256("Halle Delivery Tracking");
    }
}
