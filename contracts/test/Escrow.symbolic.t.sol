// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DeliveryTracking} from "../src/DeliveryTracking.sol";
import {Escrow} from "../src/Escrow.sol";
import {Status, Terms} from "../src/interfaces/IEscrow.sol";
import {TestToken} from "../src/test/TestToken.sol";
import {vm} from "./Vm.sol";

/// Proofs for all callers and amounts, by `halmos --contract EscrowSymbolicTest`. Each asserts the state it starts from, so
/// that none holds for want of an order. The people have no keys: offers are accepted by call.
contract EscrowSymbolicTest {
    address private constant MERCHANT = address(0x111);
    address private constant BUYER = address(0x222);
    address private constant ARBITER = address(0x333);

    Escrow private _escrow;
    TestToken private _token;
    Terms private _terms;

    function setUp() public {
        _escrow = new Escrow(new DeliveryTracking());
        _token = new TestToken("T", "T", 6);
        Terms memory t = Terms({
            merchant: MERCHANT,
            buyer: BUYER,
            token: address(_token),
            amount: 100,
            arbiter: ARBITER,
            backupArbiter: address(0),
            arbiterFeeBps: 200,
            defaultBuyerBps: 5_000,
            validUntil: type(uint40).max,
            acceptWithin: 2 days,
            shipWithin: 3 days,
            deliverWithin: 10 days,
            inspectWithin: 4 days,
            arbiterWithin: 7 days,
            carrier: address(0),
            deliveryCode: 0,
            proofRequired: false,
            orderHash: 0
        });
        _terms = t;
        _token.mint(BUYER, 100);
        vm.prank(BUYER);
        _token.approve(address(_escrow), 100);
        vm.prank(BUYER);
        _escrow.fund(t, "");
        vm.prank(MERCHANT);
        _escrow.accept(t, BUYER);
    }

    function _status() private view returns (Status s) {
        (s,,) = _escrow.orders(_escrow.orderIdOf(_terms, BUYER));
    }

    function _as(address by, bytes memory call) private returns (bool ok) {
        vm.prank(by);
        (ok,) = address(_escrow).call(call);
    }

    function check_onlyTheBuyerReleases(address by, uint256 amount) public {
        assert(_status() == Status.Accepted && _token.balanceOf(address(_escrow)) == 100);
        bool ok = _as(by, abi.encodeCall(_escrow.release, (_terms, BUYER, amount)));
        assert(!ok || (by == BUYER && amount >= 1 && amount <= 100));
    }

    function check_onlyTheMerchantRefunds(address by, uint256 amount) public {
        assert(_status() == Status.Accepted && _token.balanceOf(address(_escrow)) == 100);
        bool ok = _as(by, abi.encodeCall(_escrow.refund, (_terms, BUYER, amount)));
        assert(!ok || (by == MERCHANT && amount >= 1 && amount <= 100));
    }

    function check_onlyTheMerchantShips(address by) public {
        assert(_status() == Status.Accepted);
        bool ok = _as(by, abi.encodeCall(_escrow.ship, (_terms, BUYER, bytes32(0))));
        assert(ok == (by == MERCHANT));
    }

    function check_onlyThePartiesDispute(address by) public {
        assert(_status() == Status.Accepted);
        bool ok = _as(by, abi.encodeCall(_escrow.dispute, (_terms, BUYER, bytes32(0))));
        assert(ok == (by == MERCHANT || by == BUYER));
    }

    function check_onlyTheArbiterRules(address by, uint16 bps) public {
        vm.prank(BUYER);
        _escrow.dispute(_terms, BUYER, 0);
        assert(_status() == Status.Disputed);
        bool ok = _as(by, abi.encodeCall(_escrow.rule, (_terms, BUYER, bps)));
        assert(!ok || (by == ARBITER && bps <= 10_000));
    }

    function check_aClosedOrderPaysNobodyAgain(uint256 amount, bool byBuyer) public {
        vm.prank(BUYER);
        _escrow.release(_terms, BUYER, 100);
        assert(_status() == Status.Closed && _token.balanceOf(MERCHANT) == 100);
        bytes memory release = abi.encodeCall(_escrow.release, (_terms, BUYER, amount));
        bytes memory refund = abi.encodeCall(_escrow.refund, (_terms, BUYER, amount));
        assert(!_as(byBuyer ? BUYER : MERCHANT, byBuyer ? release : refund));
    }

    /// With the fee, the split and the dust, all of the 100 leaves once.
    function check_aRulingPaysAllOfItOnce(uint16 bps) public {
        vm.prank(BUYER);
        _escrow.dispute(_terms, BUYER, 0);
        assert(_status() == Status.Disputed && _token.balanceOf(address(_escrow)) == 100);
        bool ok = _as(ARBITER, abi.encodeCall(_escrow.rule, (_terms, BUYER, bps)));
        uint256 paid = _token.balanceOf(ARBITER) + _token.balanceOf(BUYER) + _token.balanceOf(MERCHANT);
        assert(ok == (bps <= 10_000) && paid == (ok ? 100 : 0) && _token.balanceOf(ARBITER) == (ok ? 2 : 0));
        assert(!ok || !_as(ARBITER, abi.encodeCall(_escrow.rule, (_terms, BUYER, bps))));
    }

    function check_aClaimIsPaidAfterItsWindowOnlyAndOnce(address by, uint40 at) public {
        vm.prank(MERCHANT);
        _escrow.ship(_terms, BUYER, 0);
        (, uint40 deadline,) = _escrow.orders(_escrow.orderIdOf(_terms, BUYER));
        assert(_status() == Status.Shipped && _token.balanceOf(address(_escrow)) == 100);
        vm.warp(at);
        bool ok = _as(by, abi.encodeCall(_escrow.claim, (_terms, BUYER)));
        assert(ok == (at > deadline) && _token.balanceOf(MERCHANT) == (ok ? 100 : 0));
        assert(!ok || !_as(by, abi.encodeCall(_escrow.claim, (_terms, BUYER))));
    }
}
