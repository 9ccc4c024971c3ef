// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEscrow, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {ITill} from "../src/interfaces/ITill.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {NastyReceiver} from "./fixtures/NastyReceiver.sol";
import {NastyToken} from "./fixtures/NastyToken.sol";
import {SmartAccount} from "./fixtures/SmartAccount.sol";

/// releaseBySig
/// ├── given the buyer's signature in time ………………… pays; one second later, or by another key, reverts
/// └── given one of before a part payment ……………………… reverts
/// settle
/// ├── given a share above what is held …………………………… reverts
/// ├── given one side as the caller ………………………………………… needs the other's signature only
/// └── given an operator's signature ……………………………………… counts as the merchant's
/// reclaim of an unproved parcel …………………………………………………… the buyer's alone
/// deliver / deliverByCarrier
/// ├── given terms without a code or carrier ……………… reverts
/// └── given the newest checkpoint says otherwise …… reverts
/// rule …………………………………………………………………………………………………………………… at most all of it
/// setOperatorBySig ………………………………………………………………………………… in time, by the merchant, once
/// withdraw ……………………………………………………………………………………………………… whole credit, elsewhere, once; never to nobody or the escrow
/// any call from inside a guarded one ……………………………………… reverts
contract EscrowEndsTest is Hall {
    address private constant STRANGER = address(0x57);
    NastyToken private _nasty = new NastyToken();

    function _accepted(uint256 amount) private returns (Terms memory t) {
        t = newTerms(amount);
        fundAs(t, true);
    }

    function _try(address by, bytes memory call) private returns (bool ok, bytes4 why) {
        return tryAs(by, address(escrow), call);
    }

    // ── the end of an order ─────────────────────────────────────────────────────────────────────────────────────

    /// In the last second of `validUntil` the terms can still be funded: the word must stay, or they were funded twice.
    function test_release_GivenTheLastSecondToFund_KeepsTheOrderClosed() external {
        Terms memory t = _accepted(100);
        vm.warp(t.validUntil);
        vm.prank(buyer);
        escrow.release(t, buyer, 100);
        assert(statusOf(t) == Status.Closed);
        token.mint(buyer, 100);
        vm.prank(buyer);
        token.approve(address(escrow), 100);
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
        (bool ok, bytes4 why) = _try(buyer, abi.encodeCall(escrow.fund, (t, sig)));
        assert(!ok && why == IEscrow.WrongStatus.selector);
    }

    /// A payout of nothing is no transfer: some tokens refuse it, some receivers count it.
    function test_refund_GivenAll_MovesNothingToTheMerchant() external {
        Terms memory t = _accepted(100);
        vm.expectCall(address(token), abi.encodeCall(token.transfer, (merchant, 0)), 0);
        vm.prank(merchant);
        escrow.refund(t, buyer, 100);
        assert(token.balanceOf(buyer) == 100);
    }

    // ── release and settlement ──────────────────────────────────────────────────────────────────────────────────

    function testFuzz_releaseBySig_GivenAnyKeyAndSecond_NeedsTheBuyersInTime(uint256 key, uint32 life, uint64 later)
        external
    {
        Terms memory t = _accepted(100);
        key = key % 2 == 0 ? BUYER_KEY : 1 + key % type(uint128).max;
        uint256 deadline = block.timestamp + life;
        bytes memory sig = releaseSig(key, t, 60, deadline);
        vm.warp(block.timestamp + later % (2 * (uint256(life) + 1)));
        (bool ok, bytes4 why) = _try(STRANGER, abi.encodeCall(escrow.releaseBySig, (t, buyer, 60, deadline, sig)));
        bool late = block.timestamp > deadline;
        assert(ok == (!late && key == BUYER_KEY) && token.balanceOf(merchant) == (ok ? 60 : 0));
        if (!ok) assert(why == (late ? IEscrow.TooLate.selector : IEscrow.BadSignature.selector));
    }

    /// `paidOut` in the signature: what was signed before a part payment was about another sum.
    function test_releaseBySigAndSettle_GivenSignaturesOfBeforeAPartPayment_Revert() external {
        Terms memory t = _accepted(100);
        bytes memory release = releaseSig(BUYER_KEY, t, 10, type(uint256).max);
        (bytes memory ofBuyer, bytes memory ofMerchant) = (settleSig(BUYER_KEY, t, 50), settleSig(MERCHANT_KEY, t, 50));
        vm.prank(buyer);
        escrow.release(t, buyer, 1);
        (bool ok, bytes4 why) =
            _try(STRANGER, abi.encodeCall(escrow.releaseBySig, (t, buyer, 10, type(uint256).max, release)));
        assert(!ok && why == IEscrow.BadSignature.selector);
        (ok, why) = _try(STRANGER, abi.encodeCall(escrow.settle, (t, buyer, 50, ofBuyer, ofMerchant)));
        assert(!ok && why == IEscrow.BadSignature.selector && statusOf(t) == Status.Accepted);
    }

    function testFuzz_settle_GivenAnyShareAndCaller_NeedsBothSides(uint128 share, uint8 party, bool b, bool m)
        external
    {
        Terms memory t = _accepted(100);
        vm.prank(merchant);
        escrow.setOperator(arbiter, type(uint64).max); // as an operator, an arbiter is the merchant's side
        address by = [buyer, merchant, arbiter, STRANGER][party % 4];
        uint256 wanted = share % 200;
        bytes memory ofBuyer = settleSig(b ? BUYER_KEY : MERCHANT_KEY, t, wanted);
        bytes memory ofMerchant = settleSig(m ? MERCHANT_KEY : BUYER_KEY, t, wanted);
        (bool ok, bytes4 why) = _try(by, abi.encodeCall(escrow.settle, (t, buyer, wanted, ofBuyer, ofMerchant)));
        bool agreed = (b || by == buyer) && (m || by == merchant || by == arbiter);
        assert(ok == (agreed && wanted <= 100));
        if (!ok) assert(why == (wanted > 100 ? IEscrow.BadAmount.selector : IEscrow.BadSignature.selector));
        assert(token.balanceOf(buyer) == (ok ? wanted : 0) && token.balanceOf(merchant) == (ok ? 100 - wanted : 0));
    }

    function test_settle_GivenHalfAnAgreement_Reverts() external {
        Terms memory t = _accepted(100);
        (bytes memory ofBuyer, bytes memory ofMerchant) = (settleSig(BUYER_KEY, t, 50), settleSig(MERCHANT_KEY, t, 50));
        bytes[2] memory halves = [
            abi.encodeCall(escrow.settle, (t, buyer, 50, ofBuyer, ofBuyer)),
            abi.encodeCall(escrow.settle, (t, buyer, 50, ofMerchant, ofMerchant))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            (bool ok, bytes4 why) = _try(STRANGER, halves[i]);
            assert(!ok && why == IEscrow.BadSignature.selector && statusOf(t) == Status.Accepted);
        }
    }

    function test_settle_GivenAnOperatorsSignature_CountsAsTheMerchants() external {
        Terms memory t = _accepted(100);
        uint256 key = 0x0501;
        vm.prank(merchant);
        escrow.setOperator(vm.addr(key), uint64(block.timestamp));
        escrow.settle(t, buyer, 40, settleSig(BUYER_KEY, t, 40), settleSig(key, t, 40));
        assert(token.balanceOf(buyer) == 40 && token.balanceOf(merchant) == 60);
    }

    function test_settle_GivenErc1271Accounts_AsksThem() external {
        (SmartAccount a, SmartAccount b) = (new SmartAccount(), new SmartAccount());
        Terms memory t = newTerms(100);
        (t.merchant, t.buyer) = (address(a), address(b));
        token.mint(buyer, 100);
        vm.prank(buyer);
        token.approve(address(escrow), 100);
        a.approve(escrow.digestOf(t), true);
        vm.prank(buyer);
        bytes32 id = escrow.fund(t, hex"01");
        bytes32 h = keccak256(
            abi.encode(keccak256("Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)"), id, 30, 0)
        );
        bytes memory call = abi.encodeCall(escrow.settle, (t, address(b), 30, bytes(hex"02"), bytes(hex"02")));
        a.approve(typed(h), true);
        (bool ok,) = _try(STRANGER, call);
        assert(!ok);
        b.approve(typed(h), true);
        (ok,) = _try(STRANGER, call);
        assert(ok && token.balanceOf(address(b)) == 30 && token.balanceOf(address(a)) == 70);
    }

    // ── proof ───────────────────────────────────────────────────────────────────────────────────────────────────

    function testFuzz_reclaim_GivenAnUnprovedParcel_IsTheBuyersAlone(address by) external {
        Terms memory t = newTerms(100);
        t.proofRequired = true;
        fundAs(t, true);
        shipAs(t);
        vm.warp(uint256(deadlineOf(t)) + 1);
        (bool ok, bytes4 why) = _try(by, abi.encodeCall(escrow.reclaim, (t, buyer)));
        assert(ok == (by == buyer) && (ok || why == IEscrow.NotAuthorised.selector));
        if (ok) return;
        vm.prank(buyer);
        escrow.reclaim(t, buyer);
        assert(token.balanceOf(buyer) == 100);
    }

    function test_deliver_GivenTermsWithoutCodeOrCarrier_ProvesNothing() external {
        Terms memory t = newTerms(100);
        (t.deliveryCode, t.carrier) = (0, address(0));
        fundAs(t, true);
        shipAs(t);
        vm.expectRevert(IEscrow.WrongCode.selector);
        escrow.deliver(t, buyer, "");
        bytes32 parcel = escrow.shipmentIdOf(escrow.orderIdOf(t, buyer), "shipment");
        vm.prank(address(0));
        tracking.attest(parcel, 6, uint40(block.timestamp), 0);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotDelivered.selector, parcel));
        escrow.deliverByCarrier(t, buyer, "shipment");
    }

    /// Another carrier, another parcel, another status, or a parcel that went back afterwards.
    function testFuzz_deliverByCarrier_GivenAnyCheckpoint_NeedsTheNamedCarriersDelivery(
        address by,
        uint8 status,
        bool named,
        bool sameParcel,
        bool wentBack
    ) external {
        Terms memory t = _accepted(100);
        shipAs(t);
        status = 1 + status % 8;
        bytes32 parcel =
            escrow.shipmentIdOf(escrow.orderIdOf(t, buyer), sameParcel ? bytes32("shipment") : bytes32("x"));
        if (named) by = carrier;
        vm.warp(1_000_000);
        vm.prank(by);
        tracking.attest(parcel, status, 999_000, 0);
        vm.prank(by);
        if (wentBack) tracking.attest(parcel, 7, 999_001, 0);
        vm.warp(deadlineOf(t));
        (bool ok, bytes4 why) = _try(STRANGER, abi.encodeCall(escrow.deliverByCarrier, (t, buyer, "shipment")));
        assert(ok == (by == carrier && status == 6 && sameParcel && !wentBack));
        assert(ok || why == IEscrow.NotDelivered.selector);
    }

    /// The chain shows a code when it is used: who copies it can do no more than prove the same delivery.
    function test_deliver_GivenACopiedCode_HelpsNobodyElse() external {
        Terms memory t = _accepted(100);
        Terms memory other = newTerms(100);
        other.deliveryCode = keccak256("another code, another order");
        fundAs(other, true);
        vm.prank(STRANGER);
        escrow.deliver(t, buyer, CODE);
        assert(statusOf(t) == Status.Delivered && deadlineOf(t) == block.timestamp + t.inspectWithin);
        vm.expectRevert(IEscrow.WrongCode.selector);
        vm.prank(STRANGER);
        escrow.deliver(other, buyer, CODE);
        vm.prank(buyer);
        escrow.dispute(t, buyer, "empty box");
        assert(statusOf(t) == Status.Disputed && token.balanceOf(STRANGER) == 0);
    }

    // ── arbiters and operators ──────────────────────────────────────────────────────────────────────────────────

    function testFuzz_rule_GivenMoreThanAll_Reverts(uint16 bps) external {
        Terms memory t = _accepted(100);
        vm.prank(buyer);
        escrow.dispute(t, buyer, "e");
        (bool ok, bytes4 why) = _try(arbiter, abi.encodeCall(escrow.rule, (t, buyer, bps)));
        assert(ok == (bps <= 10_000) && (ok || why == IEscrow.BadAmount.selector));
    }

    /// Without a backup a silent arbiter leaves the case to the default, not to somebody else.
    function test_escalate_GivenNoBackup_RevertsAndTheDefaultCloses() external {
        Terms memory t = newTerms(100);
        t.backupArbiter = address(0);
        fundAs(t, true);
        vm.prank(buyer);
        escrow.dispute(t, buyer, "e");
        vm.warp(uint256(deadlineOf(t)) + 1);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.BadTerms.selector, "backupArbiter"));
        escrow.escalate(t, buyer);
        (bool ok,) = _try(address(0), abi.encodeCall(escrow.rule, (t, buyer, 0)));
        assert(!ok);
        escrow.closeByDefault(t, buyer);
        assert(statusOf(t) == Status.None && token.balanceOf(buyer) == 50);
    }

    function testFuzz_setOperatorBySig_GivenAnySecond_IsTheMerchantsInTime(uint32 life, uint64 later, uint8 fault)
        external
    {
        uint256 deadline = block.timestamp + life;
        (address who, address operator) = (merchant, address(0x0501));
        bytes memory sig = operatorSig(who, operator, 99, 0, deadline);
        if (fault % 4 == 1) who = buyer;
        if (fault % 4 == 2) who = address(0);
        if (fault % 4 == 3) operator = STRANGER;
        vm.warp(block.timestamp + later % (2 * (uint256(life) + 1)));
        bool late = block.timestamp > deadline;
        (bool ok, bytes4 why) =
            _try(STRANGER, abi.encodeCall(escrow.setOperatorBySig, (who, operator, 99, 0, deadline, sig)));
        assert(ok == (!late && fault % 4 == 0) && escrow.operatorUntil(who, operator) == (ok ? 99 : 0));
        if (!ok) assert(why == (late ? IEscrow.TooLate.selector : IEscrow.BadSignature.selector));
    }

    /// What a thief of an operator's key can do with the money: give it back, or wait. Never take it.
    function testFuzz_operator_GivenAStolenKey_CannotTakeMoney(uint8 call, bool shipped) external {
        Terms memory t = _accepted(100);
        if (shipped) shipAs(t);
        address thief = address(0x7EEF);
        vm.prank(merchant);
        escrow.setOperator(thief, type(uint64).max);
        bytes[6] memory calls = [
            abi.encodeCall(escrow.refund, (t, buyer, 100)),
            abi.encodeCall(escrow.release, (t, buyer, 100)),
            abi.encodeCall(escrow.dispute, (t, buyer, "e")),
            abi.encodeCall(escrow.ship, (t, buyer, "p")),
            abi.encodeCall(escrow.settle, (t, buyer, 0, settleSig(BUYER_KEY, t, 0), bytes(""))),
            abi.encodeCall(escrow.setOperator, (STRANGER, type(uint64).max))
        ];
        _try(thief, calls[call % 6]);
        assert(token.balanceOf(thief) == 0 && escrow.operatorUntil(merchant, STRANGER) == 0);
        uint256 held = token.balanceOf(address(escrow));
        assert(held + token.balanceOf(buyer) + token.balanceOf(merchant) == 100);
    }

    // ── credits ─────────────────────────────────────────────────────────────────────────────────────────────────

    function _credited(uint256 amount) private returns (Terms memory t) {
        t = newTerms(amount);
        t.token = address(_nasty);
        _nasty.mint(buyer, amount);
        vm.prank(buyer);
        _nasty.approve(address(escrow), amount);
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
        vm.prank(buyer);
        escrow.fund(t, sig);
        _nasty.setBlocked(merchant, true);
        vm.prank(buyer);
        escrow.release(t, buyer, amount);
    }

    function testFuzz_withdraw_GivenACredit_GoesWholeToWhereTheOwnerSaysOnce(address by, address to, uint96 amount)
        external
    {
        uint256 credit = uint256(amount) + 1;
        _credited(credit);
        (bool ok,) = _try(by, abi.encodeCall(escrow.withdraw, (address(_nasty), to)));
        assert(ok == (by == merchant && to != address(0) && to != address(escrow) && to != merchant));
        if (ok) return;
        address safe = address(0xE15E);
        vm.prank(merchant);
        assert(escrow.withdraw(address(_nasty), safe) == credit && _nasty.balanceOf(safe) == credit);
        vm.expectRevert(ITill.NothingToWithdraw.selector);
        vm.prank(merchant);
        escrow.withdraw(address(_nasty), safe);
    }

    function test_withdraw_GivenNobodyTheEscrowOrAReceiverThatRefuses_KeepsTheCredit() external {
        NastyReceiver receiver = new NastyReceiver();
        Terms memory t = newTerms(100);
        (t.token, t.merchant) = (address(0), address(receiver));
        vm.deal(buyer, 100);
        vm.prank(buyer);
        escrow.fund{value: 100}(t, "");
        receiver.act(address(escrow), 0, abi.encodeCall(escrow.accept, (t, buyer)));
        receiver.setMode(1);
        vm.prank(buyer);
        escrow.release(t, buyer, 100);
        assert(escrow.credits(address(0), address(receiver)) == 100);
        (bool ok, bytes4 why) =
            _try(address(receiver), abi.encodeCall(escrow.withdraw, (address(0), address(receiver))));
        assert(!ok && why == ITill.PushFailed.selector);
        for (uint256 i = 0; i < 2; ++i) {
            address to = i == 0 ? address(0) : address(escrow);
            (ok, why) = _try(address(receiver), abi.encodeCall(escrow.withdraw, (address(0), to)));
            assert(!ok && why == ITill.NothingToWithdraw.selector);
        }
        (ok,) = _try(address(receiver), abi.encodeCall(escrow.withdraw, (address(0), address(0xE15E))));
        assert(ok && address(0xE15E).balance == 100);
    }

    // ── calls from inside ───────────────────────────────────────────────────────────────────────────────────────

    /// While money comes in, nothing else that moves money runs: not one of the calls.
    function test_fund_GivenATokenThatCallsBack_IsTheOnlyCallThatMovesMoney() external {
        Terms memory due = _accepted(100);
        shipAs(due);
        vm.warp(uint256(deadlineOf(due)) + 1);
        (Terms[] memory ts, address[] memory buyers) = (new Terms[](1), new address[](1));
        (ts[0], buyers[0]) = (due, buyer);
        bytes[14] memory calls = [
            abi.encodeCall(escrow.fund, (newTerms(1), "")),
            abi.encodeCall(escrow.fundWithPermit, (newTerms(1), "", 0, 0, 0, 0)),
            abi.encodeCall(escrow.fundWithAuthorization, (newTerms(1), "", buyer, 0, 0, 0, 0, 0)),
            abi.encodeCall(escrow.withdraw, (address(token), address(1))),
            abi.encodeCall(escrow.lapse, (due, buyer)),
            abi.encodeCall(escrow.claim, (due, buyer)),
            abi.encodeCall(escrow.claimMany, (ts, buyers)),
            abi.encodeCall(escrow.release, (due, buyer, 1)),
            abi.encodeCall(escrow.releaseBySig, (due, buyer, 1, 0, "")),
            abi.encodeCall(escrow.refund, (due, buyer, 1)),
            abi.encodeCall(escrow.settle, (due, buyer, 1, "", "")),
            abi.encodeCall(escrow.reclaim, (due, buyer)),
            abi.encodeCall(escrow.rule, (due, buyer, 1)),
            abi.encodeCall(escrow.closeByDefault, (due, buyer))
        ];
        vm.prank(buyer);
        _nasty.approve(address(escrow), 1_400);
        for (uint256 i = 0; i < calls.length; ++i) {
            Terms memory t = newTerms(100);
            t.token = address(_nasty);
            _nasty.setHook(address(0), "");
            _nasty.mint(buyer, 100);
            _nasty.setHook(address(escrow), calls[i]);
            vm.prank(buyer);
            escrow.fund(t, "");
            assert(!_nasty.hookWorked() && bytes4(_nasty.hookResult()) == ITill.Reentered.selector);
            assert(statusOf(due) == Status.Shipped && statusOf(t) == Status.Offered);
        }
        assert(_nasty.balanceOf(address(escrow)) == 1_400);
    }
}
