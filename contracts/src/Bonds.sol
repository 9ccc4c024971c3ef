// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Till} from "./Till.sol";
import {IWarranty} from "./interfaces/IWarranty.sol";

/// @title The underwriters' bonds
/// @dev Law: reserved ≤ bond for every underwriter and token, always.
abstract contract Bonds is IWarranty, Till {
    struct Bond {
        uint128 total;
        uint128 reserved;
    }

    mapping(address underwriter => mapping(address token => Bond)) private _bonds;
    /// @inheritdoc IWarranty
    mapping(address underwriter => mapping(address token => uint256 cover)) public operatorCover;

    /// @inheritdoc IWarranty
    function deposit(address token, uint256 amount) external payable nonReentrant {
        _addBond(msg.sender, token, amount);
        _takeIn(token, msg.sender, amount);
    }

    /// @inheritdoc IWarranty
    function withdrawBond(address token, uint256 amount) external nonReentrant {
        Bond storage bond = _bonds[msg.sender][token];
        uint256 free = bond.total - bond.reserved;
        if (amount == 0 || amount > free) revert BadAmount(amount, free);
        bond.total -= uint128(amount);
        emit BondWithdrawn(msg.sender, token, amount);
        _send(token, msg.sender, amount);
    }

    /// @inheritdoc IWarranty
    function setOperatorCover(address token, uint256 cover) external {
        operatorCover[msg.sender][token] = cover;
        emit OperatorCoverSet(msg.sender, token, cover);
    }

    /// @inheritdoc IWarranty
    function bondOf(address underwriter, address token) external view returns (uint256 bond, uint256 reserved) {
        Bond storage b = _bonds[underwriter][token];
        return (b.total, b.reserved);
    }

    function _addBond(address underwriter, address token, uint256 amount) internal {
        Bond storage bond = _bonds[underwriter][token];
        uint256 total = bond.total + amount;
        if (amount == 0 || total > type(uint128).max) revert BadAmount(amount, type(uint128).max);
        bond.total = uint128(total);
        emit Deposited(underwriter, token, amount);
    }

    function _reserve(address underwriter, address token, uint256 amount) internal {
        Bond storage bond = _bonds[underwriter][token];
        uint256 free = bond.total - bond.reserved;
        if (amount > free) revert BadAmount(amount, free);
        bond.reserved += uint128(amount);
    }

    function _free(address underwriter, address token, uint256 amount) internal {
        _bonds[underwriter][token].reserved -= uint128(amount);
    }

    /// @dev Takes a payout out of the bond and out of what is reserved.
    function _spend(address underwriter, address token, uint256 amount) internal {
        Bond storage bond = _bonds[underwriter][token];
        bond.total -= uint128(amount);
        bond.reserved -= uint128(amount);
    }

    function _spendOperatorCover(address underwriter, address token, uint256 amount) internal {
        uint256 left = operatorCover[underwriter][token];
        if (amount > left) revert BadAmount(amount, left);
        operatorCover[underwriter][token] = left - amount;
    }
}
