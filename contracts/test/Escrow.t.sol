// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEscrow, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";

contract EscrowTest is Hall {
    function test_fund_GivenTheMerchantsSignature_AcceptsAtOnce() external {
        Terms memory t = newTerms(100);
        fundAs(t, true);
        assert(statusOf(t) == Status.Accepted);
        assert(deadlineOf(t) == block.timestamp + t.shipWithin);
        assert(token.balanceOf(address(escrow)) == 100);
    }

    function test_fund_GivenNoSignature_MakesAnOffer() external {
        Terms memory t = newTerms(100);
        fundAs(t, false);
        assert(statusOf(t) == Status.Offered);
    }

    function testFuzz_fund_GivenAnyOtherSignature_Reverts(bytes memory sig) external {
        Terms memory t = newTerms(100);
        if (sig.length == 0) return;
        vm.prank(buyer);
        vm.expectRevert(IEscrow.BadSignature.selector);
        escrow.fund(t, sig);
    }

    function testFuzz_fund_GivenAnyTerms_KeepsTheLimitsOrReverts(Terms memory t) external {
        t.token = address(token);
        t.buyer = buyer;
        t.amount = t.amount % type(uint128).max;
        token.mint(buyer, t.amount);
        vm.prank(buyer);
        token.approve(address(escrow), t.amount);
        vm.prank(buyer);
        try escrow.fund(t, "") {
            assert(t.amount != 0 && t.arbiterFeeBps <= 1_000 && t.defaultBuyerBps <= 10_000);
            assert(t.arbiter != buyer && t.arbiter != t.merchant);
            assert(t.acceptWithin < 2 ** 26 && t.shipWithin < 2 ** 26 && t.arbiterWithin < 2 ** 26);
            assert(statusOf(t) == Status.Offered);
        } catch {}
    }

    function test_claim_WhenTheWindowsEnded_PaysTheMerchant() external {
        Terms memory t = newTerms(100);
        fundAs(t, true);
        shipAs(t);
        vm.warp(deadlineOf(t));
        vm.expectRevert(abi.encodeWithSelector(IEscrow.TooEarly.selector, deadlineOf(t)));
        escrow.claim(t, buyer);
        vm.warp(deadlineOf(t) + 1);
        escrow.claim(t, buyer);
        assert(token.balanceOf(merchant) == 100);
    }

    function test_deliver_GivenTheCode_OpensInspection() external {
        Terms memory t = newTerms(100);
        fundAs(t, true);
        shipAs(t);
        escrow.deliver(t, buyer, CODE);
        assert(statusOf(t) == Status.Delivered);
        assert(deadlineOf(t) == block.timestamp + t.inspectWithin);
    }

    function testFuzz_deliver_GivenAnyOtherCode_Reverts(bytes memory guess) external {
        Terms memory t = newTerms(100);
        fundAs(t, true);
        shipAs(t);
        if (keccak256(guess) == keccak256(CODE)) return;
        vm.expectRevert(IEscrow.WrongCode.selector);
        escrow.deliver(t, buyer, guess);
    }

    function testFuzz_settle_GivenBothSignatures_PaysEveryUnit(uint128 amount, uint256 share) external {
        if (amount == 0) return;
        Terms memory t = newTerms(amount);
        bytes32 id = fundAs(t, true);
        share = share % (uint256(amount) + 1);
        bytes32 structHash = keccak256(
            abi.encode(keccak256("Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)"), id, share, 0)
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", escrow.DOMAIN_SEPARATOR(), structHash));
        escrow.settle(t, buyer, share, signature(BUYER_KEY, digest), signature(MERCHANT_KEY, digest));
        assert(token.balanceOf(buyer) == share && token.balanceOf(merchant) == amount - share);
    }

    function testFuzz_rule_GivenADispute_PaysEveryUnit(uint128 amount, uint16 bps) external {
        if (amount == 0) return;
        Terms memory t = newTerms(amount);
        fundAs(t, true);
        vm.prank(buyer);
        escrow.dispute(t, buyer, 0);
        vm.prank(arbiter);
        escrow.rule(t, buyer, bps % 10_001);
        uint256 paid = token.balanceOf(arbiter) + token.balanceOf(buyer) + token.balanceOf(merchant);
        assert(paid == amount && token.balanceOf(arbiter) == (uint256(amount) * 200) / 10_000);
    }
}
