// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Signed} from "./Signed.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";

/// @title Who may act for a merchant
/// @dev The on-chain mirror of the operator grants that merchants publish.
abstract contract Operators is IEscrow, Signed {
    bytes32 private constant SET_OPERATOR_TYPEHASH =
        keccak256("SetOperator(address merchant,address operator,uint64 until,uint256 nonce,uint256 deadline)");

    /// @inheritdoc IEscrow
    mapping(address merchant => mapping(address operator => uint64 until)) public operatorUntil;
    /// @inheritdoc IEscrow
    mapping(address merchant => uint256 nonce) public nonces;

    /// @inheritdoc IEscrow
    function setOperator(address operator, uint64 until) external {
        _setOperator(msg.sender, operator, until);
    }

    /// @inheritdoc IEscrow
    function setOperatorBySig(
        address merchant,
        address operator,
        uint64 until,
        uint256 nonce,
        uint256 deadline,
        bytes calldata sig
    ) external {
        // slither-disable-next-line timestamp - a signature's last second, minutes or hours away
        if (block.timestamp > deadline) revert TooLate(deadline);
        if (nonce != nonces[merchant]) revert BadNonce(nonces[merchant]);
        nonces[merchant] = nonce + 1;
        bytes32 structHash = keccak256(abi.encode(SET_OPERATOR_TYPEHASH, merchant, operator, until, nonce, deadline));
        if (!_isSignedBy(merchant, _typedDigest(structHash), sig)) revert BadSignature();
        _setOperator(merchant, operator, until);
    }

    function _setOperator(address merchant, address operator, uint64 until) private {
        operatorUntil[merchant][operator] = until;
        emit OperatorSet(merchant, operator, until);
    }

    function _actsFor(address merchant, address account) internal view returns (bool) {
        // slither-disable-next-line timestamp - a grant's last second, days away
        return account == merchant || operatorUntil[merchant][account] >= block.timestamp;
    }

    function _requireMerchant(address merchant) internal view {
        if (!_actsFor(merchant, msg.sender)) revert NotAuthorised(msg.sender);
    }

    function _isSignedForMerchant(address merchant, bytes32 digest, bytes calldata sig) internal view returns (bool) {
        address signer = _recover(digest, sig);
        // slither-disable-next-line timestamp - as above
        if (signer != address(0) && _actsFor(merchant, signer)) return true;
        return _isSignedByContract(merchant, digest, sig);
    }
}
