// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Status, Terms} from "../src/interfaces/IEscrow.sol";
import {Certificate, ClaimStatus, IWarranty} from "../src/interfaces/IWarranty.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {NastyToken} from "./fixtures/NastyToken.sol";

/// What spite can cost another: time up to the windows of the terms, never the money. See docs/security/contracts.md.
contract GriefingTest is Hall {
    address private constant UNDERWRITER = address(0x0DE);
    address private constant HOLDER = address(0xA1);

    function _accepted(bool proof) private returns (Terms memory t) {
        t = newTerms(100);
        t.proofRequired = proof;
        fundAs(t, true);
    }

    /// A dispute out of spite, and two arbiters who never answer: the money is free after their two windows.
    function testFuzz_dispute_GivenSilentArbiters_HoldsTheMoneyForTheirTwoWindows(uint32 within, bool byMerchant)
        external
    {
        Terms memory t = newTerms(100);
        t.arbiterWithin = within % 2 ** 26;
        fundAs(t, true);
        uint256 start = block.timestamp;
        vm.prank(byMerchant ? merchant : buyer);
        escrow.dispute(t, buyer, "spite");
        vm.warp(start + t.arbiterWithin + 1);
        escrow.escalate(t, buyer);
        vm.warp(start + 2 * (uint256(t.arbiterWithin) + 1));
        escrow.closeByDefault(t, buyer);
        assert(token.balanceOf(buyer) == 50 && token.balanceOf(merchant) == 50);
    }

    /// A buyer who takes the parcel and keeps the code: the merchant goes to the arbiter before the deadline, or after it
    /// as long as the buyer has not reclaimed.
    function testFuzz_dispute_GivenABuyerWhoKeepsTheCode_IsOpenToTheMerchantUntilTheReclaim(uint32 later) external {
        Terms memory t = _accepted(true);
        shipAs(t);
        vm.warp(block.timestamp + later);
        vm.prank(merchant);
        escrow.dispute(t, buyer, "photo of the parcel");
        vm.prank(arbiter);
        escrow.rule(t, buyer, 0);
        assert(token.balanceOf(merchant) == 98 && token.balanceOf(buyer) == 0);
    }

    /// A carrier who lies for the merchant opens the inspection window, and no more than that.
    function testFuzz_deliverByCarrier_GivenALie_LeavesTheBuyerTheInspection(uint32 second) external {
        Terms memory t = _accepted(true);
        shipAs(t);
        bytes32 parcel = escrow.shipmentIdOf(escrow.orderIdOf(t, buyer), "shipment");
        vm.prank(carrier);
        tracking.attest(parcel, 6, uint40(block.timestamp), 0);
        escrow.deliverByCarrier(t, buyer, "shipment");
        vm.warp(block.timestamp + second % (uint256(t.inspectWithin) + 1));
        vm.prank(buyer);
        escrow.dispute(t, buyer, "nothing came");
        vm.prank(arbiter);
        escrow.rule(t, buyer, 10_000);
        assert(token.balanceOf(buyer) == 98);
    }

    /// An issuer that freezes the escrow stops that token; every order still ends, and is paid once it thaws.
    function testFuzz_release_GivenAFrozenEscrow_EndsAsACreditAndHurtsNoOtherToken(uint64 amount) external {
        NastyToken frozen = new NastyToken();
        Terms memory t = newTerms(uint256(amount) + 1);
        t.token = address(frozen);
        frozen.mint(buyer, t.amount);
        vm.prank(buyer);
        frozen.approve(address(escrow), t.amount);
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
        vm.prank(buyer);
        escrow.fund(t, sig);
        Terms memory sound = _accepted(false);
        frozen.setBlocked(address(escrow), true);
        vm.prank(buyer);
        escrow.release(t, buyer, t.amount);
        vm.prank(buyer);
        escrow.release(sound, buyer, 100);
        assert(escrow.credits(address(frozen), merchant) == t.amount && token.balanceOf(merchant) == 100);
        vm.expectRevert();
        vm.prank(merchant);
        escrow.withdraw(address(frozen), merchant);
        frozen.setBlocked(address(escrow), false);
        vm.prank(merchant);
        assert(escrow.withdraw(address(frozen), merchant) == t.amount && frozen.balanceOf(merchant) == t.amount);
    }

    /// Whoever pays for a public offer first gets it, at its price: there is nothing else to win in front of the others.
    function test_fund_GivenASearcherInFrontOfAPublicOffer_PaysItsPrice() external {
        Terms memory t = newTerms(100);
        t.buyer = address(0);
        address searcher = address(0x5EA);
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
        for (uint256 i = 0; i < 2; ++i) {
            address by = i == 0 ? searcher : buyer;
            token.mint(by, 100);
            vm.prank(by);
            token.approve(address(escrow), 100);
            vm.prank(by);
            escrow.fund(t, sig);
            assert(token.balanceOf(by) == 0);
        }
        assert(statusOf(t) == Status.Accepted && token.balanceOf(address(escrow)) == 200);
    }

    // ── certificates ────────────────────────────────────────────────────────────────────────────────────────────

    function _certificate(address underwriter, uint256 number) private view returns (Certificate memory c) {
        (c.underwriter, c.holder, c.token, c.arbiter) = (underwriter, HOLDER, address(token), arbiter);
        (c.cover, c.orderId, c.startsAt) = (60, bytes32(number), uint40(block.timestamp));
        (c.endsAt, c.respondWithin, c.arbiterWithin) = (uint40(block.timestamp + 30 days), 3 days, 7 days);
    }

    function _underwritten(address underwriter, uint256 number) private returns (uint256 id) {
        token.mint(underwriter, 60);
        vm.prank(underwriter);
        token.approve(address(warranty), 60);
        vm.prank(underwriter);
        warranty.deposit(address(token), 60);
        Certificate memory c = _certificate(underwriter, number);
        vm.prank(underwriter);
        id = warranty.register(c);
    }

    /// Offers without end only delay: the holder contests one, or claims again.
    function test_offer_GivenAnUnderwriterWhoOnlyOffers_IsEndedByTheHolder() external {
        uint256 id = _underwritten(UNDERWRITER, 1);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(HOLDER);
            warranty.openClaim(id, 60, "e");
            vm.prank(UNDERWRITER);
            warranty.offer(id, "tomorrow");
            if (i == 2) break;
            vm.warp(block.timestamp + 3 days + 1);
            warranty.lapseOffer(id);
        }
        vm.prank(HOLDER);
        warranty.contest(id, "three offers, no repair");
        vm.warp(block.timestamp + 7 days + 1);
        warranty.payUnanswered(id);
        assert(token.balanceOf(HOLDER) == 60);
    }

    /// Anyone may give anyone a certificate, backed by the giver alone: it touches nobody else's bond.
    function test_register_GivenACertificateNobodyAskedFor_ConcernsItsUnderwriterOnly() external {
        uint256 mine = _underwritten(UNDERWRITER, 1);
        uint256 spam = _underwritten(address(0x5AA), 2);
        vm.prank(HOLDER);
        warranty.surrender(spam);
        (uint256 bond, uint256 reserved) = warranty.bondOf(UNDERWRITER, address(token));
        (ClaimStatus s,,,,,,) = warranty.certificateOf(mine);
        assert(bond == 60 && reserved == 60 && s == ClaimStatus.Active);
        vm.expectRevert(abi.encodeWithSelector(IWarranty.BadAmount.selector, 1, 0));
        vm.prank(UNDERWRITER);
        warranty.withdrawBond(address(token), 1);
    }
}
