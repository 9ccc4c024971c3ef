// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DeliveryTracking} from "../src/DeliveryTracking.sol";
import {Escrow} from "../src/Escrow.sol";
import {Warranty} from "../src/Warranty.sol";
import {Certificate, ClaimStatus} from "../src/interfaces/IWarranty.sol";
import {TestToken} from "../src/test/TestToken.sol";
import {vm} from "./Vm.sol";

/// Proofs for all callers, amounts and seconds: a bond of 100, of which one certificate reserves 60. Each asserts the state
/// it starts from, so that none holds for want of a certificate.
contract WarrantySymbolicTest {
    address private constant UNDERWRITER = address(0x111);
    address private constant HOLDER = address(0x222);
    address private constant ARBITER = address(0x333);
    uint256 private constant START = 1_000_000;

    Warranty private _warranty;
    TestToken private _token;
    uint256 private _id;

    function setUp() public {
        vm.warp(START);
        _warranty = new Warranty(new Escrow(new DeliveryTracking()));
        _token = new TestToken("T", "T", 6);
        _token.mint(UNDERWRITER, 100);
        vm.prank(UNDERWRITER);
        _token.approve(address(_warranty), 100);
        vm.prank(UNDERWRITER);
        _warranty.deposit(address(_token), 100);
        Certificate memory c = _certificate(60, 1);
        vm.prank(UNDERWRITER);
        _id = _warranty.register(c);
    }

    function _certificate(uint256 cover, uint256 number) private view returns (Certificate memory c) {
        (c.underwriter, c.holder, c.token, c.arbiter) = (UNDERWRITER, HOLDER, address(_token), ARBITER);
        (c.cover, c.orderId, c.startsAt, c.endsAt) = (cover, bytes32(number), uint40(START), uint40(START + 30 days));
        (c.respondWithin, c.arbiterWithin) = (3 days, 7 days);
    }

    function _is(ClaimStatus wanted) private view returns (bool) {
        (ClaimStatus s,,,,,,) = _warranty.certificateOf(_id);
        return s == wanted;
    }

    function _as(address by, bytes memory call) private returns (bool ok) {
        vm.prank(by);
        (ok,) = address(_warranty).call(call);
    }

    function _claimed(uint256 amount) private {
        vm.prank(HOLDER);
        _warranty.openClaim(_id, amount, 0);
        assert(_is(ClaimStatus.Claimed) && _token.balanceOf(HOLDER) == 0);
    }

    /// Law: reserved ≤ bond, and the bond is there.
    function _isBacked() private view returns (bool) {
        (uint256 bond, uint256 reserved) = _warranty.bondOf(UNDERWRITER, address(_token));
        return reserved <= bond && _token.balanceOf(address(_warranty)) == bond;
    }

    // ── access ──────────────────────────────────────────────────────────────────────────────────────────────────

    function check_onlyTheHolderOpensAClaim(address by, uint256 amount, uint40 at) public {
        assert(_is(ClaimStatus.Active));
        vm.warp(at);
        bool ok = _as(by, abi.encodeCall(_warranty.openClaim, (_id, amount, 0)));
        bool inTerm = at >= START && at <= START + 30 days;
        assert(ok == (by == HOLDER && amount >= 1 && amount <= 60 && inTerm));
    }

    function check_onlyTheUnderwriterAnswers(address by, uint8 how) public {
        _claimed(60);
        bytes memory call = how == 0
            ? abi.encodeCall(_warranty.acceptClaim, (_id))
            : how == 1 ? abi.encodeCall(_warranty.offer, (_id, 0)) : abi.encodeCall(_warranty.contest, (_id, 0));
        assert(_as(by, call) == (by == UNDERWRITER));
    }

    function check_onlyTheArbiterRulesUpToTheClaim(address by, uint256 amount) public {
        _claimed(50);
        vm.prank(UNDERWRITER);
        _warranty.contest(_id, 0);
        assert(_is(ClaimStatus.Contested));
        bool ok = _as(by, abi.encodeCall(_warranty.ruleClaim, (_id, amount)));
        assert(ok == (by == ARBITER && amount <= 50));
        assert(_token.balanceOf(HOLDER) == (ok ? amount : 0) && _isBacked());
    }

    function check_theFormerHolderClaimsNothing(address by, uint256 amount) public {
        address next = address(0x444);
        vm.prank(HOLDER);
        _warranty.transferFrom(HOLDER, next, _id);
        assert(_is(ClaimStatus.Active) && _warranty.ownerOf(_id) == next);
        bool ok = _as(by, abi.encodeCall(_warranty.openClaim, (_id, amount, 0)));
        assert(!ok || by == next);
    }

    // ── single payout, in time ──────────────────────────────────────────────────────────────────────────────────

    function check_anUnansweredClaimIsPaidAfterItsWindowOnly(uint256 amount, uint40 at) public {
        if (amount == 0 || amount > 60) return;
        _claimed(amount);
        vm.warp(at);
        bool ok = _as(address(0x57), abi.encodeCall(_warranty.payUnanswered, (_id)));
        assert(ok == (at > START + 3 days));
        assert(_token.balanceOf(HOLDER) == (ok ? amount : 0) && _isBacked());
    }

    function check_aPaidClaimPaysNobodyAgain(uint256 amount, uint8 how, address by) public {
        if (amount == 0 || amount > 60) return;
        _claimed(amount);
        vm.prank(UNDERWRITER);
        _warranty.acceptClaim(_id);
        assert(_token.balanceOf(HOLDER) == amount && _is(amount == 60 ? ClaimStatus.Ended : ClaimStatus.Active));
        vm.warp(START + 4 days);
        bytes memory call = how == 0
            ? abi.encodeCall(_warranty.acceptClaim, (_id))
            : how == 1 ? abi.encodeCall(_warranty.payUnanswered, (_id)) : abi.encodeCall(_warranty.ruleClaim, (_id, 1));
        assert(!_as(by, call) && _token.balanceOf(HOLDER) == amount);
    }

    function check_twoClaimsPayNoMoreThanTheCover(uint256 a, uint256 b) public {
        if (a == 0 || a > 60) return;
        _claimed(a);
        vm.prank(UNDERWRITER);
        _warranty.acceptClaim(_id);
        bool ok = _as(HOLDER, abi.encodeCall(_warranty.openClaim, (_id, b, 0)));
        assert(!ok || (b >= 1 && b <= 60 - a));
    }

    // ── reserved ≤ bond ─────────────────────────────────────────────────────────────────────────────────────────

    function check_aWithdrawalLeavesWhatIsReserved(address by, uint256 amount) public {
        (uint256 bond, uint256 reserved) = _warranty.bondOf(UNDERWRITER, address(_token));
        assert(bond == 100 && reserved == 60);
        bool ok = _as(by, abi.encodeCall(_warranty.withdrawBond, (address(_token), amount)));
        assert(ok == (by == UNDERWRITER && amount >= 1 && amount <= 40));
        assert(_isBacked());
    }

    function check_aCertificateReservesNoMoreThanIsFree(address by, uint256 cover) public {
        assert(_isBacked());
        bool ok = _as(by, abi.encodeCall(_warranty.register, (_certificate(cover, 2))));
        // Not "if and only if": to the prover, the hash of an unknown cover may be that of the first certificate.
        assert(!ok || (by == UNDERWRITER && cover >= 1 && cover <= 40));
        assert(_isBacked());
    }

    function check_theBondIsFreeAfterTheTermOnly(address by, uint40 at) public {
        assert(_is(ClaimStatus.Active));
        vm.warp(at);
        bool ok = _as(by, abi.encodeCall(_warranty.expire, (_id)));
        (, uint256 reserved) = _warranty.bondOf(UNDERWRITER, address(_token));
        assert(ok == (at > START + 30 days) && reserved == (ok ? 0 : 60) && _isBacked());
    }
}
