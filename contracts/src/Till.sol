// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ITill} from "./interfaces/ITill.sol";

/// @title Takes money in exactly and always gets it out again
/// @dev Token zero is the chain's native coin.
abstract contract Till is ITill {
    using SafeERC20 for IERC20;

    /// Enough for a smart account's receive hook, too little to make a push payout expensive.
    uint256 private constant NATIVE_PUSH_GAS = 50_000;
    /// Several times what a proxied stablecoin needs; caps what a receiver's hook can burn.
    uint256 private constant TOKEN_PUSH_GAS = 400_000;

    /// @inheritdoc ITill
    mapping(address token => mapping(address account => uint256 amount)) public credits;

    /// A whole word, so that entering need not read it first.
    uint256 private transient _entered;

    /// A token's hook may call back: the balance check below would then count one payment twice.
    modifier nonReentrant() {
        _enter();
        _;
        _entered = 0;
    }

    /// @dev For calls that write all state before they push money, so that nothing is gained by calling again from inside
    /// the push; they are only kept out of the middle of a guarded call.
    modifier paysLast() {
        if (_entered != 0) revert Reentered();
        _;
    }

    /// @inheritdoc ITill
    function withdraw(address token, address to) external nonReentrant returns (uint256 amount) {
        amount = credits[token][msg.sender];
        if (amount == 0 || to == address(0) || to == address(this)) revert NothingToWithdraw();
        credits[token][msg.sender] = 0;
        emit Withdrawn(token, msg.sender, to, amount);
        _send(token, to, amount);
    }

    function _enter() private {
        if (_entered != 0) revert Reentered();
        _entered = 1;
    }

    // Every caller passes `msg.sender` as `from`; the payable entries are in the contracts that inherit this.
    // slither-disable-start arbitrary-send-erc20,msg-value-in-nonpayable

    /// @dev Takes exactly `amount`; a token that delivers less (fee-on-transfer) or more is refused.
    function _takeIn(address token, address from, uint256 amount) internal {
        uint256 coins = token == address(0) ? amount : 0;
        if (msg.value != coins) revert WrongPayment(coins, msg.value);
        if (token == address(0)) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(from, address(this), amount);
        _checkReceived(token, before, amount);
    }

    // slither-disable-end arbitrary-send-erc20,msg-value-in-nonpayable

    function _checkReceived(address token, uint256 before, uint256 amount) internal view {
        uint256 balance = IERC20(token).balanceOf(address(this));
        uint256 got = balance > before ? balance - before : 0;
        if (got != amount) revert WrongPayment(amount, got);
    }

    /// @dev Pushes the money; whatever goes wrong at the receiver or the token turns it into a credit, so that
    /// nobody can block anybody else's payout.
    function _pay(address token, address to, uint256 amount) internal {
        if (amount == 0) return;
        if (token == address(0) ? _pushCoins(to, amount) : _pushTokens(token, to, amount)) return;
        credits[token][to] += amount;
        emit Credited(token, to, amount);
    }

    /// @dev Sends or reverts: for calls in which the receiver asks for its own money.
    function _send(address token, address to, uint256 amount) internal {
        if (token != address(0)) return IERC20(token).safeTransfer(to, amount);
        // The caller takes its own money to where it says: its credit or its free bond, deducted before.
        // slither-disable-next-line arbitrary-send-eth,low-level-calls
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert PushFailed();
    }

    function _pushCoins(address to, uint256 amount) private returns (bool ok) {
        // No return data is copied: a receiver cannot make the payer pay for its memory.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            ok := call(NATIVE_PUSH_GAS, to, amount, 0, 0, 0, 0)
        }
    }

    function _pushTokens(address token, address to, uint256 amount) private returns (bool ok) {
        bytes4 selector = IERC20.transfer.selector;
        // As SafeERC20: success is `true`, or nothing at all from an address that has code. Here a failure is an answer,
        // not a revert, gas is bounded, and at most one word comes back.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let p := mload(0x40)
            mstore(p, selector)
            mstore(add(p, 0x04), to)
            mstore(add(p, 0x24), amount)
            ok := call(TOKEN_PUSH_GAS, token, 0, p, 0x44, 0, 0x20)
            if ok {
                switch returndatasize()
                case 0 { ok := gt(extcodesize(token), 0) }
                default { ok := and(gt(returndatasize(), 31), eq(mload(0), 1)) }
            }
        }
    }
}
