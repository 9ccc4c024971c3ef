// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {IEscrow, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {SmartAccount} from "./fixtures/SmartAccount.sol";

/// The table of `IEscrow`, row by row: who, in which state, until when.
contract EscrowTreeTest is Hall {
    uint256 private constant CALLS = 16;

    /// Which states allow the call, as a bit per `Status`.
    function _allowed(uint256 what) private pure returns (uint256) {
        return
            [
                uint256(0x02), 0x02, 0x02, 0x04, 0x0c, 0x08, 0x18, 0x7c, 0x7c, 0x7e, 0x7e, 0x0c, 0x1c, 0x20, 0x60, 0x40
            ][what];
    }

    function _caller(uint256 what, Status s) private view returns (address) {
        if (what == 0 || what == 3 || what == 9) return merchant;
        if (what == 7 || what == 11 || what == 12) return buyer;
        if (what == 14) return s == Status.Escalated ? backup : arbiter;
        return address(0x57);
    }

    function _call(uint256 what, Terms memory t) private returns (bytes memory) {
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
        if (what == 0) return abi.encodeCall(escrow.accept, (t, buyer));
        if (what == 1) return abi.encodeCall(escrow.acceptBySig, (t, buyer, sig));
        if (what == 2) return abi.encodeCall(escrow.lapse, (t, buyer));
        if (what == 3) return abi.encodeCall(escrow.ship, (t, buyer, "p"));
        if (what == 4) return abi.encodeCall(escrow.deliver, (t, buyer, CODE));
        if (what == 5) return abi.encodeCall(escrow.deliverByCarrier, (t, buyer, "shipment"));
        if (what == 6) return abi.encodeCall(escrow.claim, (t, buyer));
        if (what == 7) return abi.encodeCall(escrow.release, (t, buyer, 1));
        if (what == 8) {
            return abi.encodeCall(
                escrow.releaseBySig, (t, buyer, 1, type(uint256).max, releaseSig(BUYER_KEY, t, 1, type(uint256).max))
            );
        }
        if (what == 9) return abi.encodeCall(escrow.refund, (t, buyer, 1));
        if (what == 10) {
            return
                abi.encodeCall(escrow.settle, (t, buyer, 0, settleSig(BUYER_KEY, t, 0), settleSig(MERCHANT_KEY, t, 0)));
        }
        if (what == 11) return abi.encodeCall(escrow.reclaim, (t, buyer));
        if (what == 12) return abi.encodeCall(escrow.dispute, (t, buyer, "e"));
        if (what == 13) return abi.encodeCall(escrow.escalate, (t, buyer));
        if (what == 14) return abi.encodeCall(escrow.rule, (t, buyer, 5_000));
        return abi.encodeCall(escrow.closeByDefault, (t, buyer));
    }

    /// A fresh order in that state, proof of delivery required if `reclaimable`.
    function _in(Status s, bool reclaimable) private returns (Terms memory t) {
        t = newTerms(100);
        t.proofRequired = reclaimable;
        if (s == Status.None) return t;
        fundAs(t, s != Status.Offered);
        if (s == Status.Closed) {
            vm.prank(merchant);
            escrow.refund(t, buyer, 100);
        }
        if (s >= Status.Shipped && s <= Status.Delivered) shipAs(t);
        if (s == Status.Delivered) escrow.deliver(t, buyer, CODE);
        if (s < Status.Disputed || s == Status.Closed) return t;
        vm.prank(buyer);
        escrow.dispute(t, buyer, "e");
        if (s == Status.Disputed) return t;
        vm.warp(uint256(deadlineOf(t)) + 1);
        escrow.escalate(t, buyer);
    }

    function _try(address by, bytes memory call) private returns (bool ok, bytes4 why) {
        return tryAs(by, address(escrow), call);
    }

    function test_EveryCall_WhenTheStateForbidsIt_RevertsWithWrongStatus() external {
        for (uint256 what = 0; what < CALLS; ++what) {
            for (uint256 s = 0; s < 8; ++s) {
                if (_allowed(what) & (1 << s) != 0) continue;
                Terms memory t = _in(Status(s), true);
                assert(statusOf(t) == Status(s));
                (bool ok, bytes4 why) = _try(_caller(what, Status(s)), _call(what, t));
                assert(!ok && why == IEscrow.WrongStatus.selector);
            }
        }
    }

    /// Reclaim, claim, escalation and the default wait for the deadline; all others go up to it.
    function test_EveryTimedCall_AtTheDeadlineAndOneSecondLater() external {
        for (uint256 what = 0; what < CALLS; ++what) {
            if (what == 5 || (what >= 7 && what <= 10)) continue; // not timed, or needs a carrier
            for (uint256 s = 1; s < 7; ++s) {
                if (_allowed(what) & (1 << s) == 0 || (what == 4 && s == 2)) continue;
                bool late = what == 2 || what == 6 || what == 11 || what == 13 || what == 15;
                _edge(what, Status(s), 0, !late, late);
                _edge(what, Status(s), 1, late, late);
            }
        }
    }

    function _edge(uint256 what, Status s, uint256 after_, bool works, bool late) private {
        Terms memory t = _in(s, what == 11);
        vm.warp(uint256(deadlineOf(t)) + after_);
        (bool ok, bytes4 why) = _try(_caller(what, s), _call(what, t));
        assert(ok == works);
        if (!ok) assert(why == (late ? IEscrow.TooEarly.selector : IEscrow.TooLate.selector));
    }

    /// The table as a function: any call, in any state, by anybody, at any second, proof required or not.
    function testFuzz_EveryCall_GivenAnyStatePartyAndSecond_DoesWhatTheTableSays(
        uint8 call,
        uint8 state,
        uint8 party,
        uint32 second,
        bool proof
    ) external {
        uint256 what = call % CALLS;
        Status s = Status(state % 8);
        address by = [merchant, buyer, arbiter, backup, address(0x57)][party % 5];
        Terms memory t = _in(s, proof);
        bytes32 parcel = escrow.shipmentIdOf(escrow.orderIdOf(t, buyer), "shipment");
        vm.prank(carrier);
        tracking.attest(parcel, 6, uint40(block.timestamp), 0);
        uint256 end = deadlineOf(t);
        if (s != Status.None && s != Status.Closed) {
            // Half of the runs in the window's last seconds and the first ones after it.
            vm.warp(second % 2 == 0 ? end - 2 + second % 5 : block.timestamp + second % 60 days);
        }
        (bool ok,) = _try(by, _call(what, t));
        assert(
            ok
                == (_allowed(what) & (1 << uint256(s)) != 0 && _may(what, s, by, proof)
                        && _inTime(what, s, by, proof, block.timestamp > end))
        );
        uint256 held = token.balanceOf(address(escrow));
        assert(
            held + token.balanceOf(buyer) + token.balanceOf(merchant) + token.balanceOf(arbiter)
                    + token.balanceOf(backup) == (s == Status.None ? 0 : 100)
        );
    }

    function _may(uint256 what, Status s, address by, bool proof) private view returns (bool) {
        if (what == 0 || what == 3 || what == 9) return by == merchant;
        if (what == 7 || (what == 11 && s == Status.Shipped)) return by == buyer && (what == 7 || proof);
        if (what == 12) return by == merchant || by == buyer;
        if (what == 14) return by == (s == Status.Disputed ? arbiter : backup);
        return true;
    }

    function _inTime(uint256 what, Status s, address by, bool proof, bool late) private view returns (bool) {
        if (what >= 7 && what <= 10) return true;
        if (what == 2 || what == 11 || what == 13 || what == 15) return late;
        if (what == 4 || what == 5) return !late || s == Status.Accepted || proof;
        if (what == 6) return late && (s == Status.Delivered || !proof);
        if (what == 12) return !late || (by == merchant && s == Status.Shipped && proof);
        return !late;
    }

    function testFuzz_EveryCallOfAParty_GivenAStranger_RevertsWithNotAuthorised(address by, uint8 call) external {
        uint256 what = [0, 3, 7, 9, 12, 14][call % 6];
        if (by == merchant || by == buyer || by == arbiter) return;
        Status s = what == 0 ? Status.Offered : what == 14 ? Status.Disputed : Status.Accepted;
        Terms memory t = _in(s, false);
        (bool ok, bytes4 why) = _try(by, _call(what, t));
        assert(!ok && why == IEscrow.NotAuthorised.selector && statusOf(t) == s);
    }

    function testFuzz_EveryCall_GivenOtherTermsOrAnotherBuyer_FindsNoOrder(uint8 field, uint128 change, uint8 call)
        external
    {
        Terms memory t = _in(Status.Shipped, false);
        uint256 what = [uint256(4), 6, 7, 9, 11, 12][call % 6];
        if (change == 0) return;
        if (field % 4 == 0) t.amount = uint256(change) == 100 ? 101 : change;
        if (field % 4 == 1) t.orderHash = bytes32(uint256(t.orderHash) ^ change);
        if (field % 4 == 2) t.inspectWithin = t.inspectWithin ^ uint32(1 + change % 1000);
        if (field % 4 == 3) t.arbiter = address(uint160(t.arbiter) ^ uint160(change));
        (bool ok,) = _try(_caller(what, Status.Shipped), _call(what, t));
        assert(!ok);
    }

    // ── signatures ──────────────────────────────────────────────────────────────────────────────────────────────

    function test_fund_GivenTheSignatureOfAnotherOrderChainOrContract_Reverts() external {
        Terms memory t = newTerms(100);
        Terms memory other = newTerms(100);
        _refused(t, signature(MERCHANT_KEY, escrow.digestOf(other)));
        _refused(t, signature(MERCHANT_KEY, new Escrow(tracking).digestOf(t)));
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
        vm.chainId(5);
        _refused(t, sig);
        vm.chainId(31337);
        assert(fundAs(t, true) == escrow.orderIdOf(t, buyer));
    }

    function test_fund_GivenAMalleatedOrShortSignature_Reverts() external {
        Terms memory t = newTerms(100);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(MERCHANT_KEY, escrow.digestOf(t));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        _refused(t, abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27)));
        _refused(t, abi.encodePacked(r, s));
        _refused(t, abi.encodePacked(r, s, v, v));
    }

    function _refused(Terms memory t, bytes memory sig) private {
        token.mint(buyer, t.amount);
        vm.prank(buyer);
        token.approve(address(escrow), t.amount);
        (bool ok, bytes4 why) = _try(buyer, abi.encodeCall(escrow.fund, (t, sig)));
        assert(!ok && why == IEscrow.BadSignature.selector);
    }

    function test_settle_GivenTheSignaturesOfARelease_Reverts() external {
        Terms memory t = _in(Status.Accepted, false);
        bytes memory sig = releaseSig(BUYER_KEY, t, 1, type(uint256).max);
        (bool ok, bytes4 why) = _try(merchant, abi.encodeCall(escrow.settle, (t, buyer, 0, sig, sig)));
        assert(!ok && why == IEscrow.BadSignature.selector);
    }

    function test_releaseBySig_WhenUsed_RevertsTheSecondTime() external {
        Terms memory t = _in(Status.Accepted, false);
        bytes memory call = _call(8, t);
        (bool ok,) = _try(address(0x57), call);
        assert(ok);
        bytes4 why;
        (ok, why) = _try(address(0x57), call);
        assert(!ok && why == IEscrow.BadSignature.selector);
    }

    function testFuzz_setOperatorBySig_GivenOneUse_RevertsTheSecondTime(address operator, uint64 until) external {
        bytes memory sig = operatorSig(merchant, operator, until, 0, block.timestamp);
        escrow.setOperatorBySig(merchant, operator, until, 0, block.timestamp, sig);
        assert(escrow.operatorUntil(merchant, operator) == until && escrow.nonces(merchant) == 1);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.BadNonce.selector, 1));
        escrow.setOperatorBySig(merchant, operator, until, 0, block.timestamp, sig);
    }

    function testFuzz_setOperator_GivenAnEnd_EndsThen(uint32 life) external {
        Terms memory t = _in(Status.Accepted, false);
        uint64 until = uint64(block.timestamp + life % 3 days);
        vm.prank(merchant);
        escrow.setOperator(address(0x0501), until);
        vm.warp(until);
        (bool ok,) = _try(address(0x0501), abi.encodeCall(escrow.refund, (t, buyer, 1)));
        assert(ok);
        vm.warp(until + 1);
        (ok,) = _try(address(0x0501), abi.encodeCall(escrow.refund, (t, buyer, 1)));
        assert(!ok);
    }

    // ── accounts with code ──────────────────────────────────────────────────────────────────────────────────────

    function test_fund_GivenAnErc1271Merchant_AsksTheAccount() external {
        SmartAccount account = new SmartAccount();
        Terms memory t = newTerms(100);
        t.merchant = address(account);
        _refused(t, hex"01");
        account.approve(escrow.digestOf(t), true);
        vm.prank(buyer);
        escrow.fund(t, hex"01");
        assert(statusOf(t) == Status.Accepted);
    }

    /// The delegated code refuses every digest: the key still signs.
    function test_fund_GivenAMerchantDelegatedByEip7702_TakesTheKeysSignature() external {
        vm.etch(merchant, abi.encodePacked(hex"ef0100", address(new SmartAccount())));
        Terms memory t = newTerms(100);
        fundAs(t, true);
        assert(statusOf(t) == Status.Accepted);
        vm.etch(buyer, abi.encodePacked(hex"ef0100", address(new SmartAccount())));
        (bool ok,) = _try(address(0x57), _call(8, t));
        assert(ok);
    }

    // ── squatting, collusion, griefing ──────────────────────────────────────────────────────────────────────────

    /// A stranger who opens the buyer's order first pays for it, and the merchant's signature still makes it a sale.
    function test_fund_GivenAStrangerFirst_TheStrangerPaidForTheBuyer() external {
        Terms memory t = newTerms(100);
        address stranger = address(0x57);
        token.mint(stranger, 100);
        vm.prank(stranger);
        token.approve(address(escrow), 100);
        vm.prank(stranger);
        escrow.fund(t, "");
        (bool ok,) = _try(address(0x57), _call(1, t));
        assert(ok && statusOf(t) == Status.Accepted && token.balanceOf(stranger) == 0);
        vm.prank(merchant);
        escrow.refund(t, buyer, 100);
        assert(token.balanceOf(buyer) == 100);
    }

    /// Whatever arbiter and merchant agree on, the arbiter gets the advertised fee and nothing of it without ruling.
    function testFuzz_rule_GivenAColludingArbiter_TakesNoMoreThanTheFee(uint128 amount, uint16 feeBps, uint16 bps)
        external
    {
        if (amount == 0) return;
        Terms memory t = newTerms(amount);
        t.arbiterFeeBps = feeBps % 1_001;
        fundAs(t, true);
        (bool ok,) = _try(arbiter, abi.encodeCall(escrow.rule, (t, buyer, 0)));
        assert(!ok);
        vm.prank(merchant);
        escrow.dispute(t, buyer, "e");
        vm.prank(arbiter);
        escrow.rule(t, buyer, bps % 10_001);
        uint256 fee = token.balanceOf(arbiter);
        assert(fee == (uint256(amount) * t.arbiterFeeBps) / 10_000 && fee <= amount / 10);
        assert(fee + token.balanceOf(buyer) + token.balanceOf(merchant) == amount);
    }

    function testFuzz_closeByDefault_GivenSilentArbiters_SplitsAsAgreed(uint128 amount, uint16 bps) external {
        if (amount == 0) return;
        Terms memory t = newTerms(amount);
        (t.defaultBuyerBps, t.backupArbiter) = (bps % 10_001, address(0));
        fundAs(t, true);
        vm.prank(buyer);
        escrow.dispute(t, buyer, "e");
        vm.warp(uint256(deadlineOf(t)) + 1);
        escrow.closeByDefault(t, buyer);
        assert(token.balanceOf(buyer) == (uint256(amount) * t.defaultBuyerBps) / 10_000);
        assert(token.balanceOf(buyer) + token.balanceOf(merchant) == amount && token.balanceOf(arbiter) == 0);
    }

    function testFuzz_refundAndRelease_GivenAnyParts_NeverPayMoreThanIsHeld(uint128 amount, uint256 a, uint256 b)
        external
    {
        if (amount == 0) return;
        Terms memory t = newTerms(amount);
        fundAs(t, true);
        (bool ok,) = _try(buyer, abi.encodeCall(escrow.release, (t, buyer, a)));
        assert(ok == (a != 0 && a <= amount));
        uint256 left = ok ? amount - a : amount;
        (ok,) = _try(merchant, abi.encodeCall(escrow.refund, (t, buyer, b)));
        assert(ok == (b != 0 && b <= left));
        assert(token.balanceOf(address(escrow)) == left - (ok ? b : 0));
    }

    /// Junk in a batch costs the caller gas, not the others their money.
    function testFuzz_claimMany_GivenJunkAmongDueOrders_PaysTheDueOnes(uint8 mask) external {
        Terms[] memory ts = new Terms[](8);
        address[] memory buyers = new address[](8);
        uint256 due;
        for (uint256 i = 0; i < 8; ++i) {
            ts[i] = _in(mask & (1 << i) != 0 ? Status.Shipped : Status.Accepted, false);
            if (mask & (1 << i) != 0) ++due;
            buyers[i] = buyer;
        }
        vm.warp(block.timestamp + 15 days);
        assert(escrow.claimMany(ts, buyers) == due && token.balanceOf(merchant) == due * 100);
        assert(escrow.claimMany(ts, buyers) == 0 && token.balanceOf(merchant) == due * 100);
        vm.expectRevert(IEscrow.LengthMismatch.selector);
        escrow.claimMany(ts, new address[](7));
    }

    function test_claimMany_AtTheDeadline_SkipsTheOrder() external {
        (Terms[] memory ts, address[] memory buyers) = (new Terms[](1), new address[](1));
        (ts[0], buyers[0]) = (_in(Status.Shipped, false), buyer);
        vm.warp(deadlineOf(ts[0]));
        assert(escrow.claimMany(ts, buyers) == 0 && statusOf(ts[0]) == Status.Shipped);
        vm.warp(block.timestamp + 1);
        assert(escrow.claimMany(ts, buyers) == 1);
    }

    function test_fund_GivenTheEscrowAsAParty_RevertsNamingTheField() external {
        string[4] memory fields = ["merchant", "buyer", "arbiter", "backupArbiter"];
        for (uint256 i = 0; i < 4; ++i) {
            Terms memory t = newTerms(100);
            if (i == 0) t.merchant = address(escrow);
            if (i == 1) t.buyer = address(escrow);
            if (i == 2) t.arbiter = address(escrow);
            if (i == 3) t.backupArbiter = address(escrow);
            vm.prank(buyer);
            vm.expectRevert(abi.encodeWithSelector(IEscrow.BadTerms.selector, fields[i]));
            escrow.fund(t, "");
        }
    }
}
