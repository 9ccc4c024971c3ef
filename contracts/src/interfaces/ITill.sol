// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Payouts are pushed; one that fails becomes a credit its owner withdraws.
interface ITill {
    /// A push failed: `account` can `withdraw` that much more (smallest units of `token`).
    event Credited(address indexed token, address indexed account, uint256 amount);
    /// `account` sent its credit to `to`.
    event Withdrawn(address indexed token, address indexed account, address to, uint256 amount);

    /// The money that arrived is not the money that was due.
    error WrongPayment(uint256 expected, uint256 got);
    /// The caller has no credit in this token, or `to` is nobody or this contract.
    error NothingToWithdraw();
    /// The receiver refused the coins it asked for.
    error PushFailed();
    /// The call came from inside one that must be the only one to move money, for example by a token's hook.
    error Reentered();

    /// @notice What `account` can withdraw, in the smallest units of `token`; `token` zero is the native coin.
    function credits(address token, address account) external view returns (uint256);

    /// @notice Send the caller's whole credit to `to`.
    /// @dev Emits `Withdrawn`. Reverts: `NothingToWithdraw`, `PushFailed` when `to` refuses coins, `Reentered`, and
    /// whatever the token reverts with.
    function withdraw(address token, address to) external returns (uint256 amount);
}
