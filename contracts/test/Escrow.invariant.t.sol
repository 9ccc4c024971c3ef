// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Status, Terms} from "../src/interfaces/IEscrow.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";

/// Picks orders by their state, so that most calls do something; notes a broken law in `broken`, as a failing
/// `assert` inside a handler would only look like a revert.
contract EscrowHandler is Hall {
    Terms[] private _orders;
    mapping(Status status => uint256 count) public reached;
    uint256 public moneyIn;
    string public broken;

    modifier onSome(uint256 seed, Status wanted) {
        (bool found, uint256 index) = _pick(seed, wanted);
        if (found) {
            _onOrder = index;
            _;
            _afterwards(_orders[index]);
        }
    }

    uint256 private _onOrder;

    function fund(uint96 amount, bool signed, bool proof) external {
        Terms memory t = newTerms(uint256(amount) + 1);
        t.proofRequired = proof;
        fundAs(t, signed);
        moneyIn += t.amount;
        _orders.push(t);
        _afterwards(t);
    }

    function accept(uint256 seed) external onSome(seed, Status.Offered) {
        Terms memory t = _orders[_onOrder];
        bool late = block.timestamp > deadlineOf(t);
        vm.prank(merchant);
        _note(_tried(abi.encodeCall(escrow.accept, (t, buyer))) == !late, "accept");
    }

    function lapse(uint256 seed) external onSome(seed, Status.Offered) {
        Terms memory t = _orders[_onOrder];
        bool late = block.timestamp > deadlineOf(t);
        _note(_tried(abi.encodeCall(escrow.lapse, (t, buyer))) == late, "lapse");
    }

    function ship(uint256 seed) external onSome(seed, Status.Accepted) {
        Terms memory t = _orders[_onOrder];
        bool late = block.timestamp > deadlineOf(t);
        vm.prank(merchant);
        _note(_tried(abi.encodeCall(escrow.ship, (t, buyer, bytes32(0)))) == !late, "ship");
    }

    function reclaimUnshipped(uint256 seed) external onSome(seed, Status.Accepted) {
        Terms memory t = _orders[_onOrder];
        bool late = block.timestamp > deadlineOf(t);
        _note(_tried(abi.encodeCall(escrow.reclaim, (t, buyer))) == late, "reclaim unshipped");
    }

    function reclaimUnproved(uint256 seed) external onSome(seed, Status.Shipped) {
        Terms memory t = _orders[_onOrder];
        bool may = block.timestamp > deadlineOf(t) && t.proofRequired;
        vm.prank(buyer);
        _note(_tried(abi.encodeCall(escrow.reclaim, (t, buyer))) == may, "reclaim unproved");
    }

    function deliver(uint256 seed) external onSome(seed, Status.Shipped) {
        Terms memory t = _orders[_onOrder];
        bool may = t.proofRequired || block.timestamp <= deadlineOf(t);
        _note(_tried(abi.encodeCall(escrow.deliver, (t, buyer, CODE))) == may, "deliver");
    }

    function claimShipped(uint256 seed) external onSome(seed, Status.Shipped) {
        Terms memory t = _orders[_onOrder];
        bool may = !t.proofRequired && block.timestamp > deadlineOf(t);
        _note(_tried(abi.encodeCall(escrow.claim, (t, buyer))) == may, "claim shipped");
    }

    function claimDelivered(uint256 seed) external onSome(seed, Status.Delivered) {
        Terms memory t = _orders[_onOrder];
        bool may = block.timestamp > deadlineOf(t);
        _note(_tried(abi.encodeCall(escrow.claim, (t, buyer))) == may, "claim delivered");
    }

    function release(uint256 seed, uint8 status, uint256 part) external onSome(seed, _held(status)) {
        Terms memory t = _orders[_onOrder];
        uint256 amount = 1 + part % _left(t);
        vm.prank(buyer);
        _note(_tried(abi.encodeCall(escrow.release, (t, buyer, amount))), "release");
    }

    function refund(uint256 seed, uint8 status, uint256 part) external onSome(seed, _held(status)) {
        Terms memory t = _orders[_onOrder];
        uint256 amount = 1 + part % _left(t);
        vm.prank(merchant);
        _note(_tried(abi.encodeCall(escrow.refund, (t, buyer, amount))), "refund");
    }

    function dispute(uint256 seed, bool shipped) external onSome(seed, shipped ? Status.Shipped : Status.Delivered) {
        Terms memory t = _orders[_onOrder];
        bool may = block.timestamp <= deadlineOf(t);
        vm.prank(buyer);
        _note(_tried(abi.encodeCall(escrow.dispute, (t, buyer, bytes32(0)))) == may, "dispute");
    }

    function escalate(uint256 seed) external onSome(seed, Status.Disputed) {
        Terms memory t = _orders[_onOrder];
        bool may = block.timestamp > deadlineOf(t);
        _note(_tried(abi.encodeCall(escrow.escalate, (t, buyer))) == may, "escalate");
    }

    function rule(uint256 seed, bool escalated, uint16 bps)
        external
        onSome(seed, escalated ? Status.Escalated : Status.Disputed)
    {
        Terms memory t = _orders[_onOrder];
        bool may = block.timestamp <= deadlineOf(t);
        vm.prank(escalated ? backup : arbiter);
        _note(_tried(abi.encodeCall(escrow.rule, (t, buyer, bps % 10_001))) == may, "rule");
    }

    function closeByDefault(uint256 seed) external onSome(seed, Status.Escalated) {
        Terms memory t = _orders[_onOrder];
        bool may = block.timestamp > deadlineOf(t);
        _note(_tried(abi.encodeCall(escrow.closeByDefault, (t, buyer))) == may, "closeByDefault");
    }

    /// Calls by somebody with no part in the order: none may move it out of turn.
    function meddle(uint256 seed, uint8 status, uint8 what) external onSome(seed, Status(1 + status % 6)) {
        Terms memory t = _orders[_onOrder];
        bytes memory call = abi.encodeCall(escrow.release, (t, buyer, 1));
        if (what % 5 == 1) call = abi.encodeCall(escrow.refund, (t, buyer, 1));
        if (what % 5 == 2) call = abi.encodeCall(escrow.ship, (t, buyer, bytes32(0)));
        if (what % 5 == 3) call = abi.encodeCall(escrow.dispute, (t, buyer, bytes32(0)));
        if (what % 5 == 4) call = abi.encodeCall(escrow.rule, (t, buyer, 0));
        _note(!_tried(call), "meddle");
    }

    function wait_(uint32 time) external {
        vm.warp(block.timestamp + (time % 9 days));
    }

    function people() external view returns (uint256 sum) {
        address[4] memory all = [merchant, buyer, arbiter, backup];
        for (uint256 i = 0; i < 4; ++i) {
            sum += token.balanceOf(all[i]);
        }
    }

    function inEscrow() external view returns (uint256 balance, uint256 owed) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            owed += _left(_orders[i]);
        }
        return (token.balanceOf(address(escrow)), owed);
    }

    function _left(Terms memory t) private view returns (uint256) {
        (Status status,, uint128 paidOut) = escrow.orders(escrow.orderIdOf(t, buyer));
        return status == Status.None || status == Status.Closed ? 0 : t.amount - paidOut;
    }

    function _held(uint8 status) private pure returns (Status) {
        return Status(2 + status % 5);
    }

    function _pick(uint256 seed, Status wanted) private view returns (bool, uint256) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            uint256 index = (seed % _orders.length + i) % _orders.length;
            if (statusOf(_orders[index]) == wanted) return (true, index);
        }
        return (false, 0);
    }

    function _tried(bytes memory call) private returns (bool ok) {
        (ok,) = address(escrow).call(call);
    }

    function _note(bool good, string memory law) private {
        if (!good) broken = law;
    }

    function _afterwards(Terms memory t) private {
        ++reached[statusOf(t)];
    }
}

contract EscrowInvariantTest {
    EscrowHandler private _handler;

    function setUp() external {
        _handler = new EscrowHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_heldIsExactlyWhatIsOwed() external view {
        (uint256 balance, uint256 owed) = _handler.inEscrow();
        assert(balance == owed);
    }

    function invariant_moneyInIsMoneyOutPlusHeld() external view {
        (uint256 balance,) = _handler.inEscrow();
        assert(_handler.moneyIn() == _handler.people() + balance);
    }

    function invariant_onlyTheTablesTransitionsHappen() external view {
        require(bytes(_handler.broken()).length == 0, _handler.broken());
    }
}
