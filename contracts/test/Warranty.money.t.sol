// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Warranty} from "../src/Warranty.sol";
import {IEscrow} from "../src/interfaces/IEscrow.sol";
import {ITill} from "../src/interfaces/ITill.sol";
import {Certificate, ClaimStatus, IWarranty} from "../src/interfaces/IWarranty.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {NastyReceiver} from "./fixtures/NastyReceiver.sol";
import {NastyToken} from "./fixtures/NastyToken.sol";
import {SmartAccount} from "./fixtures/SmartAccount.sol";

/// deposit
/// ├── given nothing, or more than a bond can hold ………… reverts
/// ├── given coins ………………………………………………………………………………………… exactly the amount, or reverts
/// └── given a token that keeps a fee ………………………………………… reverts
/// withdrawBond ……………………………………………………………………………………………… sends or reverts: the caller asks for its own
/// register
/// ├── given an operator ……………………………………………………………………… up to the cover granted for that token
/// ├── given nobody as the underwriter …………………………………… reverts
/// └── given the same content twice ………………………………………… reverts
/// buy
/// ├── given the underwriter's signature in time ………… premium joins the bond; one second later reverts
/// ├── given a signature of others, or of other content … reverts
/// └── given a token that calls back …………………………………………… reverts inside
/// openClaim ……………………………………………………………………………………………………… from the first to the last second of the term
/// payout to a holder that cannot take it ………………………… a credit
contract WarrantyMoneyTest is Hall {
    bytes32 private constant OFFER = keccak256("CertificateOffer(uint256 id,uint256 deadline)");
    uint256 private constant UNDERWRITER_KEY = 0xC0DE;
    address private constant OPERATOR = address(0x0501);
    address private constant HOLDER = address(0xA1);

    address private _underwriter = vm.addr(UNDERWRITER_KEY);
    NastyToken private _nasty = new NastyToken();
    uint256 private _number;

    function _certificate(address money, uint256 cover, uint256 premium) private returns (Certificate memory c) {
        (c.underwriter, c.holder, c.token, c.arbiter) = (_underwriter, HOLDER, money, arbiter);
        (c.cover, c.premium, c.orderId) = (cover, premium, bytes32(++_number));
        (c.startsAt, c.endsAt) = (uint40(block.timestamp), uint40(block.timestamp + 30 days));
        (c.respondWithin, c.arbiterWithin) = (3 days, 7 days);
    }

    function _try(address by, uint256 coins, bytes memory call) private returns (bool ok, bytes4 why) {
        vm.deal(by, coins);
        vm.prank(by);
        bytes memory result;
        (ok, result) = address(warranty).call{value: coins}(call);
        why = bytes4(result);
    }

    function _bond(address money) private view returns (uint256 bond, uint256 reserved) {
        return warranty.bondOf(_underwriter, money);
    }

    function _deposit(uint256 amount) private {
        _nasty.mint(_underwriter, amount);
        vm.prank(_underwriter);
        _nasty.approve(address(warranty), type(uint256).max);
        vm.prank(_underwriter);
        warranty.deposit(address(_nasty), amount);
    }

    function _offerSig(uint256 key, uint256 id, uint256 deadline) private returns (bytes memory) {
        bytes32 h = keccak256(abi.encode(OFFER, id, deadline));
        return signature(key, keccak256(abi.encodePacked(hex"1901", warranty.DOMAIN_SEPARATOR(), h)));
    }

    // ── the bond ────────────────────────────────────────────────────────────────────────────────────────────────

    function testFuzz_deposit_GivenCoins_TakesExactlyTheAmountOrReverts(uint96 amount, uint96 sent, bool exact)
        external
    {
        uint256 coins = exact ? amount : sent;
        (bool ok, bytes4 why) = _try(_underwriter, coins, abi.encodeCall(warranty.deposit, (address(0), amount)));
        assert(ok == (amount != 0 && coins == amount));
        if (!ok) assert(why == (amount == 0 ? IWarranty.BadAmount.selector : ITill.WrongPayment.selector));
        (uint256 bond,) = _bond(address(0));
        assert(bond == (ok ? amount : 0) && address(warranty).balance == bond);
    }

    function testFuzz_deposit_GivenMoreThanABondCanHold_Reverts(uint128 first, uint256 second) external {
        _deposit(uint256(first % type(uint64).max) + 1);
        (uint256 bond,) = _bond(address(_nasty));
        (bool ok, bytes4 why) =
            _try(_underwriter, 0, abi.encodeCall(warranty.deposit, (address(_nasty), type(uint256).max - bond)));
        assert(!ok && why == IWarranty.BadAmount.selector);
        second = type(uint128).max - bond + 1 + second % type(uint128).max;
        (ok, why) = _try(_underwriter, 0, abi.encodeCall(warranty.deposit, (address(_nasty), second)));
        assert(!ok && why == IWarranty.BadAmount.selector);
    }

    function testFuzz_deposit_GivenAFeeOnTransfer_Reverts(uint16 bps) external {
        _nasty.mint(_underwriter, 10_000);
        vm.prank(_underwriter);
        _nasty.approve(address(warranty), 10_000);
        _nasty.setFee(1 + bps % 10_000);
        (bool ok, bytes4 why) = _try(_underwriter, 0, abi.encodeCall(warranty.deposit, (address(_nasty), 10_000)));
        assert(!ok && why == ITill.WrongPayment.selector);
    }

    function test_withdrawBond_GivenAReceiverThatRefuses_RevertsAndKeepsTheBond() external {
        NastyReceiver underwriter = new NastyReceiver();
        vm.deal(address(this), 100);
        underwriter.act{value: 100}(address(warranty), 100, abi.encodeCall(warranty.deposit, (address(0), 100)));
        underwriter.setMode(1);
        vm.expectRevert(ITill.PushFailed.selector);
        underwriter.act(address(warranty), 0, abi.encodeCall(warranty.withdrawBond, (address(0), 100)));
        underwriter.setMode(0);
        underwriter.act(address(warranty), 0, abi.encodeCall(warranty.withdrawBond, (address(0), 100)));
        assert(address(underwriter).balance == 100);
    }

    function testFuzz_register_GivenAnOperator_CommitsNoMoreThanGranted(uint64 granted, uint64 a, uint64 b) external {
        _deposit(type(uint128).max);
        vm.prank(_underwriter);
        escrow.setOperator(OPERATOR, type(uint64).max);
        vm.prank(_underwriter);
        warranty.setOperatorCover(address(_nasty), granted);
        uint256 left = granted;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 cover = uint256(i == 0 ? a : b) + 1;
            Certificate memory c = _certificate(address(_nasty), cover, 0);
            (bool ok, bytes4 why) = _try(OPERATOR, 0, abi.encodeCall(warranty.register, (c)));
            assert(ok == (cover <= left) && (ok || why == IWarranty.BadAmount.selector));
            if (ok) left -= cover;
            assert(warranty.operatorCover(_underwriter, address(_nasty)) == left);
        }
    }

    function testFuzz_register_GivenAnyBond_ReservesNoMoreThanIsFree(uint64 bond, uint64 a, uint64 b) external {
        _deposit(uint256(bond) + 1);
        uint256 free = uint256(bond) + 1;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 cover = i == 0 ? uint256(a) + 1 : i == 1 ? uint256(b) + 1 : free + 1;
            Certificate memory c = _certificate(address(_nasty), cover, 0);
            (bool ok, bytes4 why) = _try(_underwriter, 0, abi.encodeCall(warranty.register, (c)));
            assert(ok == (cover <= free) && (ok || why == IWarranty.BadAmount.selector));
            if (ok) free -= cover;
        }
        (uint256 total, uint256 reserved) = _bond(address(_nasty));
        assert(total - reserved == free);
    }

    function testFuzz_acceptClaim_GivenAnOperator_CommitsNoMoreThanGranted(uint64 granted, uint64 claimed) external {
        uint256 amount = uint256(claimed) + 1;
        _deposit(amount);
        Certificate memory c = _certificate(address(_nasty), amount, 0);
        vm.prank(_underwriter);
        uint256 id = warranty.register(c);
        vm.prank(_underwriter);
        escrow.setOperator(OPERATOR, type(uint64).max);
        vm.prank(_underwriter);
        warranty.setOperatorCover(address(_nasty), granted);
        vm.prank(HOLDER);
        warranty.openClaim(id, amount, "e");
        (bool ok,) = _try(OPERATOR, 0, abi.encodeCall(warranty.acceptClaim, (id)));
        assert(ok == (amount <= granted) && _nasty.balanceOf(HOLDER) == (ok ? amount : 0));
    }

    // ── issuing ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_register_GivenNobodyAsAPartyOrTheSameContentTwice_Reverts() external {
        _deposit(200);
        Certificate memory c = _certificate(address(_nasty), 100, 0);
        vm.prank(_underwriter);
        uint256 id = warranty.register(c);
        (bool ok, bytes4 why) = _try(_underwriter, 0, abi.encodeCall(warranty.register, (c)));
        assert(!ok && why == IWarranty.WrongClaimStatus.selector && id == warranty.idOf(c));
        c.holder = address(0);
        (ok, why) = _try(_underwriter, 0, abi.encodeCall(warranty.register, (c)));
        assert(!ok && why == IWarranty.BadCertificate.selector);
        (c.holder, c.underwriter) = (HOLDER, address(0));
        (ok, why) = _try(address(0), 0, abi.encodeCall(warranty.register, (c)));
        assert(!ok && why == IWarranty.BadCertificate.selector);
        (ok, why) = _try(address(0xBAD), 0, abi.encodeCall(warranty.register, (c)));
        assert(!ok && why == IWarranty.NotAuthorised.selector);
    }

    function testFuzz_register_GivenAnyTerm_NeedsAnEndAheadAndACover(
        uint40 starts,
        uint40 ends,
        uint40 now_,
        uint256 cover
    ) external {
        vm.warp(now_);
        _deposit(type(uint128).max);
        Certificate memory c = _certificate(address(_nasty), cover, 0);
        (c.startsAt, c.endsAt) = (starts, ends);
        (bool ok, bytes4 why) = _try(_underwriter, 0, abi.encodeCall(warranty.register, (c)));
        assert(ok == (ends > starts && ends >= now_ && cover != 0 && cover <= type(uint128).max));
        assert(ok || why == IWarranty.BadCertificate.selector);
        (uint256 bond, uint256 reserved) = _bond(address(_nasty));
        assert(reserved == (ok ? cover : 0) && reserved <= bond);
    }

    function testFuzz_buy_GivenAnyKeyAndSecond_NeedsTheUnderwritersInTime(
        uint256 key,
        uint32 life,
        uint64 later,
        uint64 premium,
        bool coins
    ) external {
        address money = coins ? address(0) : address(_nasty);
        Certificate memory c = _certificate(money, uint256(premium) + 1, uint256(premium) + 1);
        c.endsAt = type(uint40).max;
        key = key % 2 == 0 ? UNDERWRITER_KEY : 1 + key % type(uint128).max;
        uint256 deadline = block.timestamp + life;
        bytes memory sig = _offerSig(key, warranty.idOf(c), deadline);
        _nasty.mint(buyer, c.premium);
        vm.prank(buyer);
        _nasty.approve(address(warranty), c.premium);
        vm.warp(block.timestamp + later % (2 * (uint256(life) + 1)));
        bytes memory call = abi.encodeCall(warranty.buy, (c, deadline, sig));
        (bool ok, bytes4 why) = _try(buyer, coins ? c.premium : 0, call);
        bool late = block.timestamp > deadline;
        assert(ok == (!late && key == UNDERWRITER_KEY));
        if (!ok) assert(why == (late ? IWarranty.TooLate.selector : IWarranty.BadSignature.selector));
        (uint256 bond, uint256 reserved) = _bond(money);
        assert(bond == (ok ? c.premium : 0) && reserved == (ok ? c.cover : 0));
        if (!ok) return;
        assert(warranty.ownerOf(warranty.idOf(c)) == HOLDER);
        _nasty.mint(buyer, c.premium);
        (ok, why) = _try(buyer, coins ? c.premium : 0, call);
        assert(!ok && why == IWarranty.WrongClaimStatus.selector);
    }

    /// The signature is for one content, on one chain, by one contract.
    function test_buy_GivenAnOfferForOtherContentChainOrContract_Reverts() external {
        _deposit(1_000);
        Certificate memory c = _certificate(address(_nasty), 100, 1);
        Certificate memory dearer = _certificate(address(_nasty), 101, 1);
        uint256 deadline = block.timestamp;
        bytes memory sig = _offerSig(UNDERWRITER_KEY, warranty.idOf(c), deadline);
        (bool ok, bytes4 why) = _try(_underwriter, 0, abi.encodeCall(warranty.buy, (dearer, deadline, sig)));
        assert(!ok && why == IWarranty.BadSignature.selector);
        vm.chainId(5);
        (ok, why) = _try(_underwriter, 0, abi.encodeCall(warranty.buy, (c, deadline, sig)));
        assert(!ok && why == IWarranty.BadSignature.selector);
        vm.chainId(31337);
        Warranty other = new Warranty(escrow);
        vm.expectRevert(IWarranty.BadSignature.selector);
        other.buy(c, deadline, sig);
    }

    function test_buy_GivenAnErc1271Underwriter_AsksTheAccount() external {
        SmartAccount account = new SmartAccount();
        Certificate memory c = _certificate(address(_nasty), 1, 1);
        c.underwriter = address(account);
        _nasty.mint(buyer, 1);
        vm.prank(buyer);
        _nasty.approve(address(warranty), 1);
        bytes memory call = abi.encodeCall(warranty.buy, (c, block.timestamp, bytes(hex"01")));
        (bool ok, bytes4 why) = _try(buyer, 0, call);
        assert(!ok && why == IWarranty.BadSignature.selector);
        bytes32 h = keccak256(abi.encode(OFFER, warranty.idOf(c), block.timestamp));
        account.approve(keccak256(abi.encodePacked(hex"1901", warranty.DOMAIN_SEPARATOR(), h)), true);
        (ok,) = _try(buyer, 0, call);
        assert(ok);
    }

    /// A premium that is counted while the token calls back must not become bond twice.
    function testFuzz_deposit_GivenATokenThatCallsBack_CountsOnce(uint8 call) external {
        _deposit(1_000);
        Certificate memory c = _certificate(address(_nasty), 10, 0);
        vm.prank(_underwriter);
        uint256 id = warranty.register(c);
        bytes[5] memory calls = [
            abi.encodeCall(warranty.deposit, (address(_nasty), 100)),
            abi.encodeCall(warranty.withdrawBond, (address(_nasty), 100)),
            abi.encodeCall(warranty.expire, (id)),
            abi.encodeCall(warranty.payUnanswered, (id)),
            abi.encodeCall(warranty.withdraw, (address(_nasty), HOLDER))
        ];
        _nasty.mint(_underwriter, 100);
        _nasty.setHook(address(warranty), calls[call % 5]);
        vm.prank(_underwriter);
        warranty.deposit(address(_nasty), 100);
        assert(!_nasty.hookWorked() && bytes4(_nasty.hookResult()) == ITill.Reentered.selector);
        (uint256 bond,) = _bond(address(_nasty));
        assert(bond == 1_100 && _nasty.balanceOf(address(warranty)) == 1_100);
    }

    function testFuzz_ruleClaim_GivenAnyAmount_PaysNoMoreThanWasClaimed(uint256 ruled) external {
        _deposit(100);
        Certificate memory c = _certificate(address(_nasty), 100, 0);
        vm.prank(_underwriter);
        uint256 id = warranty.register(c);
        vm.prank(HOLDER);
        warranty.openClaim(id, 60, "e");
        vm.prank(_underwriter);
        warranty.contest(id, "e");
        (bool ok, bytes4 why) = _try(arbiter, 0, abi.encodeCall(warranty.ruleClaim, (id, 61 + ruled % 100)));
        assert(!ok && why == IWarranty.BadAmount.selector);
        ruled = ruled % 61;
        vm.expectEmit();
        emit IWarranty.ClaimRuled(id, ruled);
        vm.prank(arbiter);
        warranty.ruleClaim(id, ruled);
        (ClaimStatus s,,, uint256 left, uint256 claimed,,) = warranty.certificateOf(id);
        assert(s == ClaimStatus.Active && left == 100 - ruled && claimed == 0 && _nasty.balanceOf(HOLDER) == ruled);
    }

    // ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────

    function testFuzz_openClaim_GivenAnySecond_WorksInTheTermOnly(uint40 starts, uint40 life, uint64 at) external {
        starts = starts % 2 ** 38;
        Certificate memory c = _certificate(address(_nasty), 100, 0);
        (c.startsAt, c.endsAt) = (starts, starts + 1 + life % 2 ** 38);
        vm.warp(1);
        _deposit(100);
        vm.prank(_underwriter);
        uint256 id = warranty.register(c);
        vm.warp(at % 4 == 0 ? c.startsAt - (at % 3 == 0 && starts != 0 ? 1 : 0) : at % 2 ** 39);
        (bool ok, bytes4 why) = _try(HOLDER, 0, abi.encodeCall(warranty.openClaim, (id, 1, "e")));
        bool early = block.timestamp < c.startsAt;
        assert(ok == (!early && block.timestamp <= c.endsAt));
        if (!ok) assert(why == (early ? IEscrow.TooEarly.selector : IEscrow.TooLate.selector));
    }

    function testFuzz_payUnanswered_GivenAHolderThatCannotTakeIt_BecomesACredit(uint8 mode, uint64 amount) external {
        uint256 cover = uint256(amount) + 1;
        _deposit(cover);
        Certificate memory c = _certificate(address(_nasty), cover, 0);
        vm.prank(_underwriter);
        uint256 id = warranty.register(c);
        vm.prank(HOLDER);
        warranty.openClaim(id, cover, "e");
        vm.warp(block.timestamp + 3 days + 1);
        if (mode % 5 == 0) _nasty.setBlocked(HOLDER, true);
        else _nasty.setMode([1, 3, 4, 5][mode % 4]);
        warranty.payUnanswered{gas: 3_000_000}(id);
        _nasty.setMode(0);
        assert(warranty.credits(address(_nasty), HOLDER) == cover);
        vm.prank(HOLDER);
        warranty.withdraw(address(_nasty), address(0xE15E));
        assert(_nasty.balanceOf(address(0xE15E)) == cover);
        (ClaimStatus s,,,,,,) = warranty.certificateOf(id);
        assert(s == ClaimStatus.Ended);
    }
}
