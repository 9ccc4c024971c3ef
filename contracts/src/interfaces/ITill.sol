// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Payouts are pushed; one that fails becomes a credit its owner withdraws.
interface ITill {
    event Credited(address indexed token, address indexed account, uint256 amount);
    event Withdrawn(address indexed token, address indexed account, address to, uint256 amount);

    /// The money that arrived is not the money that was due.
    error WrongPayment(uint256 expected, uint256 got);
    error NothingToWithdraw();
    error PushFailed();
    error Reentered();

    /// @notice What `account` can withdraw.
    function credits(address token, address account) external view returns (uint256);

    /// @notice Send the caller's whole credit to `to`.
    function withdraw(address token, address to) external returns (uint256 amount);
}
