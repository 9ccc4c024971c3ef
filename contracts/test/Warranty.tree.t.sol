// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Certificate, ClaimStatus, IWarranty} from "../src/interfaces/IWarranty.sol";
import {Hall} from "./Hall.sol";
import {Log, vm} from "./Vm.sol";

/// The table of `IWarranty`, row by row, and the limits of a certificate.
contract WarrantyTreeTest is Hall {
    uint256 private constant CALLS = 10;
    address private constant UNDERWRITER = address(0x0DE);
    address private constant HOLDER = address(0xA1);
    uint256 private _number;

    function _certificate(uint256 cover) private returns (Certificate memory) {
        return Certificate({
            underwriter: UNDERWRITER,
            holder: HOLDER,
            token: address(token),
            cover: cover,
            premium: 0,
            startsAt: uint40(block.timestamp),
            endsAt: uint40(block.timestamp + 30 days),
            respondWithin: 3 days,
            arbiter: arbiter,
            arbiterWithin: 7 days,
            orderId: bytes32(++_number),
            itemHash: 0,
            serialHash: 0,
            termsHash: 0
        });
    }

    function _bond(uint256 amount) private {
        token.mint(UNDERWRITER, amount);
        vm.startPrank(UNDERWRITER);
        token.approve(address(warranty), amount);
        warranty.deposit(address(token), amount);
        vm.stopPrank();
    }

    function _registered(uint256 cover) private returns (uint256) {
        _bond(cover);
        Certificate memory c = _certificate(cover);
        vm.prank(UNDERWRITER);
        return warranty.register(c);
    }

    function _in(ClaimStatus s) private returns (uint256 id) {
        id = _registered(100);
        if (s == ClaimStatus.Ended) {
            vm.prank(HOLDER);
            warranty.surrender(id);
        }
        if (s == ClaimStatus.Active || s == ClaimStatus.Ended) return id;
        vm.prank(HOLDER);
        warranty.openClaim(id, 60, "e");
        vm.prank(UNDERWRITER);
        if (s == ClaimStatus.Offered) warranty.offer(id, "o");
        else if (s == ClaimStatus.Contested) warranty.contest(id, "e");
        vm.stopPrank();
    }

    /// Which states allow the call, as a bit per `ClaimStatus`.
    function _allowed(uint256 what) private pure returns (uint256) {
        return [uint256(0x02), 0x1c, 0x04, 0x08, 0x08, 0x0c, 0x14, 0x10, 0x02, 0x02][what];
    }

    function _call(uint256 what, uint256 id) private view returns (bytes memory) {
        if (what == 0) return abi.encodeCall(warranty.openClaim, (id, 1, "e"));
        if (what == 1) return abi.encodeCall(warranty.acceptClaim, (id));
        if (what == 2) return abi.encodeCall(warranty.offer, (id, "o"));
        if (what == 3) return abi.encodeCall(warranty.acceptOffer, (id));
        if (what == 4) return abi.encodeCall(warranty.lapseOffer, (id));
        if (what == 5) return abi.encodeCall(warranty.contest, (id, "e"));
        if (what == 6) return abi.encodeCall(warranty.payUnanswered, (id));
        if (what == 7) return abi.encodeCall(warranty.ruleClaim, (id, 30));
        if (what == 8) return abi.encodeCall(warranty.expire, (id));
        return abi.encodeCall(warranty.surrender, (id));
    }

    function _caller(uint256 what, ClaimStatus s) private view returns (address) {
        if (what == 7) return arbiter;
        if (what == 1 || what == 2 || (what == 5 && s != ClaimStatus.Offered)) return UNDERWRITER;
        return HOLDER;
    }

    function _try(address by, bytes memory call) private returns (bool ok, bytes4 why) {
        bytes memory result;
        vm.prank(by);
        (ok, result) = address(warranty).call(call);
        why = bytes4(result);
    }

    function _status(uint256 id) private view returns (ClaimStatus s, uint256 left, uint40 deadline, uint40 endsAt) {
        (s,,, left,, deadline, endsAt) = warranty.certificateOf(id);
    }

    function test_EveryCall_WhenTheStateForbidsIt_RevertsWithWrongClaimStatus() external {
        for (uint256 what = 0; what < CALLS; ++what) {
            for (uint256 s = 1; s < 6; ++s) {
                if (_allowed(what) & (1 << s) != 0) continue;
                uint256 id = _in(ClaimStatus(s));
                (ClaimStatus before,,,) = _status(id);
                assert(before == ClaimStatus(s));
                (bool ok, bytes4 why) = _try(_caller(what, ClaimStatus(s)), _call(what, id));
                assert(!ok && why == IWarranty.WrongClaimStatus.selector);
            }
        }
    }

    /// Lapse, unanswered payment and expiry wait for the end; claims, offers, contests and rulings go up to it.
    function test_EveryTimedCall_AtTheDeadlineAndOneSecondLater() external {
        for (uint256 what = 0; what < CALLS; ++what) {
            if (what == 1 || what == 3 || what == 9) continue;
            for (uint256 s = 1; s < 5; ++s) {
                if (_allowed(what) & (1 << s) == 0) continue;
                bool late = what == 4 || what == 6 || what == 8;
                _edge(what, ClaimStatus(s), 0, !late, late);
                _edge(what, ClaimStatus(s), 1, late, late);
            }
        }
    }

    function _edge(uint256 what, ClaimStatus s, uint256 after_, bool works, bool late) private {
        uint256 id = _in(s);
        (,, uint40 deadline, uint40 endsAt) = _status(id);
        vm.warp((s == ClaimStatus.Active ? endsAt : deadline) + after_);
        (bool ok, bytes4 why) = _try(_caller(what, s), _call(what, id));
        assert(ok == works);
        if (!ok) assert(why == (late ? IWarranty.TooEarly.selector : IWarranty.TooLate.selector));
    }

    /// The table as a function: any call, in any state, by anybody, at any second.
    function testFuzz_EveryCall_GivenAnyStatePartyAndSecond_DoesWhatTheTableSays(
        uint8 call,
        uint8 state,
        uint8 party,
        uint32 second
    ) external {
        uint256 what = call % CALLS;
        ClaimStatus s = ClaimStatus(1 + state % 5);
        address by = [UNDERWRITER, HOLDER, arbiter, address(0x57)][party % 4];
        uint256 id = _in(s);
        (,, uint40 deadline, uint40 endsAt) = _status(id);
        uint256 end = s == ClaimStatus.Active || s == ClaimStatus.Ended ? endsAt : deadline;
        vm.warp(second % 2 == 0 ? end - 2 + second % 5 : block.timestamp + second % 60 days);
        (bool ok,) = _try(by, _call(what, id));
        bool anyone = what == 4 || what == 6 || what == 8;
        bool anyTime = what == 1 || what == 3 || what == 9;
        assert(
            ok
                == (_allowed(what) & (1 << uint256(s)) != 0 && (anyone || by == _caller(what, s))
                        && (anyTime || block.timestamp > end == anyone))
        );
        (uint256 bond, uint256 reserved) = warranty.bondOf(UNDERWRITER, address(token));
        assert(bond + token.balanceOf(HOLDER) == 100 && reserved <= bond);
    }

    // ── ERC-4906 ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Each call that changes the state or the cover says so, once; a refused one says nothing.
    function test_EveryCall_GivenAChange_EmitsOneMetadataUpdate() external {
        for (uint256 what = 0; what < CALLS; ++what) {
            for (uint256 s = 1; s < 6; ++s) {
                uint256 id = _in(ClaimStatus(s));
                (,, uint40 deadline, uint40 endsAt) = _status(id);
                if (what == 8) vm.warp(uint256(endsAt) + 1);
                if (what == 4 || what == 6) vm.warp(uint256(deadline) + 1);
                vm.recordLogs();
                (bool ok,) = _try(_caller(what, ClaimStatus(s)), _call(what, id));
                assert(ok == (_allowed(what) & (1 << s) != 0));
                assert(_updates(id) == (ok ? 1 : 0));
            }
        }
    }

    function test_payUnanswered_GivenTheWholeCover_EndsAndEmitsOneMetadataUpdate() external {
        uint256 id = _registered(100);
        _try(HOLDER, abi.encodeCall(warranty.openClaim, (id, 100, "e")));
        (,, uint40 deadline,) = _status(id);
        vm.warp(uint256(deadline) + 1);
        vm.recordLogs();
        warranty.payUnanswered(id);
        (ClaimStatus s, uint256 left,,) = _status(id);
        assert(_updates(id) == 1 && s == ClaimStatus.Ended && left == 0 && token.balanceOf(HOLDER) == 100);
        (uint256 bond, uint256 reserved) = warranty.bondOf(UNDERWRITER, address(token));
        assert(bond == 0 && reserved == 0 && warranty.ownerOf(id) == HOLDER);
    }

    /// How often the warranty, and nobody else, said that this certificate changed.
    function _updates(uint256 id) private returns (uint256 count) {
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != keccak256("MetadataUpdate(uint256)")) continue;
            assert(logs[i].emitter == address(warranty) && abi.decode(logs[i].data, (uint256)) == id);
            ++count;
        }
    }

    function testFuzz_supportsInterface_GivenAnyId_KnowsTheFourStandards(bytes4 id) external view {
        bytes4[4] memory known = [bytes4(0x01ffc9a7), 0x80ac58cd, 0x5b5e139f, 0x49064906];
        bool wanted;
        for (uint256 i = 0; i < 4; ++i) {
            assert(warranty.supportsInterface(known[i]));
            if (id == known[i]) wanted = true;
        }
        assert(warranty.supportsInterface(id) == wanted && !warranty.supportsInterface(0xffffffff));
    }

    // ── parties ─────────────────────────────────────────────────────────────────────────────────────────────────

    function testFuzz_EveryCallOfAParty_GivenAStranger_RevertsWithNotAuthorised(address by, uint8 call) external {
        if (by == UNDERWRITER || by == HOLDER || by == arbiter) return;
        uint256 what = [0, 1, 2, 3, 5, 7, 9][call % 7];
        ClaimStatus s = ClaimStatus.Active;
        while (_allowed(what) & (1 << uint256(s)) == 0) s = ClaimStatus(uint256(s) + 1);
        uint256 id = _in(s);
        (bool ok, bytes4 why) = _try(by, _call(what, id));
        assert(!ok && why == IWarranty.NotAuthorised.selector);
    }

    function testFuzz_openClaimAndPayUnanswered_GivenAnyAmounts_NeverPayMoreThanTheCover(
        uint128 cover,
        uint128 a,
        uint128 b
    ) external {
        if (cover == 0) return;
        uint256 id = _registered(cover);
        uint256 left = cover;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 amount = i == 0 ? a : b;
            (bool ok,) = _try(HOLDER, abi.encodeCall(warranty.openClaim, (id, amount, "e")));
            assert(ok == (amount != 0 && amount <= left));
            if (!ok) continue;
            (,, uint40 deadline,) = _status(id);
            vm.warp(uint256(deadline) + 1);
            warranty.payUnanswered(id);
            left -= amount;
            if (left == 0) break;
        }
        assert(token.balanceOf(HOLDER) == cover - left);
        (uint256 bond, uint256 reserved) = warranty.bondOf(UNDERWRITER, address(token));
        assert(bond == left && reserved == left);
    }

    function testFuzz_withdrawBond_GivenReservedCover_LeavesIt(uint64 bond, uint64 cover, uint64 out) external {
        uint256 total = uint256(bond) + 1;
        uint256 reserved = 1 + cover % total;
        _bond(total);
        Certificate memory c = _certificate(reserved);
        vm.prank(UNDERWRITER);
        warranty.register(c);
        (bool ok,) = _try(UNDERWRITER, abi.encodeCall(warranty.withdrawBond, (address(token), out)));
        assert(ok == (out != 0 && out <= total - reserved));
    }

    function test_register_AtTheLimitsOfTheTerms() external {
        _bond(type(uint128).max);
        Certificate memory c = _certificate(type(uint128).max);
        (c.respondWithin, c.arbiterWithin) = (730 days, 730 days);
        (bool ok,) = _try(UNDERWRITER, abi.encodeCall(warranty.register, (c)));
        assert(ok);
        c = _certificate(1);
        for (uint256 i = 0; i < 8; ++i) {
            Certificate memory bad = _certificate(1);
            if (i == 0) bad.respondWithin = 730 days + 1;
            if (i == 1) bad.respondWithin = 0;
            if (i == 2) bad.arbiterWithin = 730 days + 1;
            if (i == 3) bad.cover = 0;
            if (i == 4) bad.endsAt = bad.startsAt;
            if (i == 5) bad.holder = UNDERWRITER;
            if (i == 6) bad.arbiter = HOLDER;
            if (i == 7) bad.arbiter = UNDERWRITER;
            bytes4 why;
            (ok, why) = _try(UNDERWRITER, abi.encodeCall(warranty.register, (bad)));
            assert(!ok && why == IWarranty.BadCertificate.selector);
        }
    }

    function test_contest_GivenAnOperator_WorksUntilItsLastSecond() external {
        uint256 id = _in(ClaimStatus.Claimed);
        uint256 other = _in(ClaimStatus.Claimed);
        vm.prank(UNDERWRITER);
        escrow.setOperator(address(0x0501), uint64(block.timestamp + 60));
        vm.warp(block.timestamp + 60);
        (bool ok,) = _try(address(0x0501), _call(5, id));
        assert(ok);
        vm.warp(block.timestamp + 1);
        (ok,) = _try(address(0x0501), _call(5, other));
        assert(!ok);
    }

    function test_transferFrom_GivenAResale_MovesTheRightToClaim() external {
        uint256 id = _in(ClaimStatus.Active);
        vm.prank(HOLDER);
        warranty.transferFrom(HOLDER, address(0xA2), id);
        (bool ok, bytes4 why) = _try(HOLDER, _call(0, id));
        assert(!ok && why == IWarranty.NotAuthorised.selector);
        (ok,) = _try(address(0xA2), _call(0, id));
        assert(ok);
        (ok, why) = _try(address(0xA2), abi.encodeCall(warranty.transferFrom, (address(0xA2), HOLDER, id)));
        assert(!ok && why == IWarranty.WrongClaimStatus.selector);
    }

    function test_tokenURI_GivenAnUnknownCertificate_Reverts() external {
        vm.expectRevert();
        warranty.tokenURI(1);
        assert(bytes(warranty.tokenURI(_in(ClaimStatus.Active))).length == 7 + 1 + 72);
    }
}
