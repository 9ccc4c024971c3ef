// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestToken} from "../src/test/TestToken.sol";
import {IEscrow, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {ITill} from "../src/interfaces/ITill.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";

/// A token that moves one unit less than the authorisation says.
contract ShortToken is TestToken("Short", "SHORT", 6) {
    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, from == address(0) ? amount : amount - 1);
    }
}

/// fund
/// ├── given a word of the terms that does not fit its type … reverts, naming the field
/// ├── given terms outside their limits …………………………………… reverts, naming the field; at the limit works
/// ├── given the order exists, or existed ………………………………… reverts
/// ├── given coins: exactly the amount ……………………………………… holds them; any other amount reverts
/// ├── given coins beside a token …………………………………………………… reverts
/// └── given no buyer in the terms ………………………………………………… the payer is the buyer
/// fundWithPermit
/// ├── given the payer's permit, submitted by whoever ………… funds
/// └── given no good permit and no allowance ………………………… reverts
/// fundWithAuthorization
/// ├── given the payer's authorisation for this order ……… funds, whoever relays; an offer without the signature
/// ├── given one for another order or amount ……………………… reverts
/// └── given a token that moves less ……………………………………………… reverts
contract EscrowFundingTest is Hall {
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    address private constant RELAYER = address(0x4E1A);

    constructor() {
        vm.warp(1_000_000);
    }

    // ── the terms ───────────────────────────────────────────────────────────────────────────────────────────────

    function test_fund_GivenTheLowestBitBesideAWord_RevertsNamingTheField() external {
        for (uint8 word = 0; word < 15; ++word) {
            _fundWithDirt(word, 1);
        }
    }

    function testFuzz_fund_GivenAWordThatDoesNotFitItsType_RevertsNamingTheField(uint8 word, uint256 dirt) external {
        _fundWithDirt(word, dirt);
    }

    /// Word 3 is the amount, 15 and 17 are hashes: all others have less than a word.
    function _fundWithDirt(uint8 word, uint256 dirt) private {
        uint256 at = [uint256(0), 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16][word % 15];
        uint256 bits = at < 6 || at == 14 ? 160 : at < 8 ? 16 : at == 8 ? 40 : at == 16 ? 1 : 32;
        if (dirt << bits == 0) return;
        bytes memory data = abi.encodeCall(escrow.fund, (newTerms(100), ""));
        assembly ("memory-safe") {
            let p := add(data, add(0x24, mul(at, 0x20)))
            mstore(p, or(mload(p), shl(bits, dirt)))
        }
        string memory field = bits == 160
            ? "address"
            : at == 6
                ? "arbiterFeeBps"
                : at == 7 ? "defaultBuyerBps" : at == 8 ? "validUntil" : at == 16 ? "proofRequired" : "window";
        _refused(data, abi.encodeWithSelector(IEscrow.BadTerms.selector, field));
    }

    function test_fund_GivenTermsOutsideTheirLimits_RevertsNamingTheField() external {
        string[16] memory fields = [
            "amount",
            "amount",
            "merchant",
            "buyer",
            "arbiter",
            "arbiter",
            "backupArbiter",
            "backupArbiter",
            "arbiterFeeBps",
            "defaultBuyerBps",
            "window",
            "window",
            "window",
            "window",
            "window",
            "proofRequired"
        ];
        for (uint256 i = 0; i < fields.length; ++i) {
            Terms memory t = newTerms(100);
            if (i == 0) t.amount = 0;
            if (i == 1) t.amount = uint256(type(uint128).max) + 1;
            if (i == 2) t.merchant = address(0);
            if (i == 3) t.buyer = merchant;
            if (i == 4) t.arbiter = buyer;
            if (i == 5) t.arbiter = merchant;
            if (i == 6) t.backupArbiter = buyer;
            if (i == 7) t.backupArbiter = merchant;
            if (i == 8) t.arbiterFeeBps = 1_001;
            if (i == 9) t.defaultBuyerBps = 10_001;
            if (i == 10) t.acceptWithin = 2 ** 26;
            if (i == 11) t.shipWithin = 2 ** 26;
            if (i == 12) t.deliverWithin = 2 ** 26;
            if (i == 13) t.inspectWithin = 2 ** 26;
            if (i == 14) t.arbiterWithin = 2 ** 26;
            if (i == 15) (t.proofRequired, t.deliveryCode, t.carrier) = (true, 0, address(0));
            _refused(abi.encodeCall(escrow.fund, (t, "")), abi.encodeWithSelector(IEscrow.BadTerms.selector, fields[i]));
        }
    }

    function test_fund_GivenTermsAtTheirLimits_Works() external {
        Terms memory t = newTerms(type(uint128).max);
        (t.arbiterFeeBps, t.defaultBuyerBps, t.validUntil) = (1_000, 10_000, uint40(block.timestamp));
        (t.acceptWithin, t.shipWithin, t.deliverWithin) = (2 ** 26 - 1, 2 ** 26 - 1, 2 ** 26 - 1);
        (t.inspectWithin, t.arbiterWithin) = (2 ** 26 - 1, 2 ** 26 - 1);
        fundAs(t, false);
        assert(statusOf(t) == Status.Offered && deadlineOf(t) == block.timestamp + 2 ** 26 - 1);
    }

    function testFuzz_fund_GivenAnySecond_WorksUpToValidUntil(uint40 at) external {
        Terms memory t = newTerms(100);
        vm.warp(at);
        if (at <= t.validUntil) {
            fundAs(t, false);
            assert(statusOf(t) == Status.Offered);
        } else {
            _refused(
                abi.encodeCall(escrow.fund, (t, "")), abi.encodeWithSelector(IEscrow.TooLate.selector, t.validUntil)
            );
        }
    }

    function testFuzz_fund_WhenTheOrderExistedBefore_Reverts(bool closed, uint32 later) external {
        Terms memory t = newTerms(100);
        fundAs(t, false);
        if (closed) {
            vm.prank(merchant);
            escrow.refund(t, buyer, 100);
        }
        vm.warp(block.timestamp + later % 2 hours);
        bytes memory why = block.timestamp > t.validUntil
            ? abi.encodeWithSelector(IEscrow.TooLate.selector, t.validUntil)
            : abi.encodeWithSelector(IEscrow.WrongStatus.selector, closed ? Status.Closed : Status.Offered);
        _refused(abi.encodeCall(escrow.fund, (t, "")), why);
    }

    /// Past `validUntil` the word of a closed order is cleared: the terms themselves keep it from being funded again.
    function test_fund_WhenClosedAfterValidUntil_ReadsAsNoneAndIsRefused() external {
        Terms memory t = newTerms(100);
        fundAs(t, false);
        vm.warp(uint256(t.validUntil) + 1);
        vm.prank(merchant);
        escrow.refund(t, buyer, 100);
        assert(statusOf(t) == Status.None && deadlineOf(t) == 0);
        _refused(abi.encodeCall(escrow.fund, (t, "")), abi.encodeWithSelector(IEscrow.TooLate.selector, t.validUntil));
    }

    function testFuzz_fund_GivenNoBuyer_BindsToThePayer(address payer) external {
        if (payer == address(0) || payer == address(escrow) || payer == merchant || payer == arbiter || payer == backup)
        {
            return;
        }
        Terms memory t = newTerms(100);
        t.buyer = address(0);
        token.mint(payer, 100);
        vm.prank(payer);
        token.approve(address(escrow), 100);
        bytes32 id = escrow.orderIdOf(t, payer);
        vm.prank(payer);
        assert(escrow.fund(t, "") == id);
    }

    // ── coins ───────────────────────────────────────────────────────────────────────────────────────────────────

    function testFuzz_fund_GivenCoins_HoldsExactlyTheAmountOrReverts(uint96 amount, uint96 sent, bool exact) external {
        Terms memory t = newTerms(uint256(amount) + 1);
        t.token = address(0);
        uint256 coins = exact ? t.amount : sent;
        vm.deal(buyer, coins);
        vm.prank(buyer);
        (bool ok, bytes memory why) = address(escrow).call{value: coins}(abi.encodeCall(escrow.fund, (t, "")));
        assert(ok == (coins == t.amount) && address(escrow).balance == (ok ? coins : 0));
        if (!ok) _same(why, abi.encodeWithSelector(ITill.WrongPayment.selector, t.amount, coins));
    }

    function testFuzz_fund_GivenCoinsBesideAToken_Reverts(uint96 coins) external {
        Terms memory t = newTerms(100);
        token.mint(buyer, 100);
        vm.deal(buyer, uint256(coins) + 1);
        vm.prank(buyer);
        token.approve(address(escrow), 100);
        vm.expectRevert(abi.encodeWithSelector(ITill.WrongPayment.selector, 0, uint256(coins) + 1));
        vm.prank(buyer);
        escrow.fund{value: uint256(coins) + 1}(t, "");
    }

    // ── fundWithPermit ──────────────────────────────────────────────────────────────────────────────────────────

    function testFuzz_fundWithPermit_GivenTheBuyersPermit_Funds(uint96 amount, bool submittedBefore, bool signed)
        external
    {
        Terms memory t = newTerms(uint256(amount) + 1);
        token.mint(buyer, t.amount);
        (uint8 v, bytes32 r, bytes32 s) = _permit(t.amount, block.timestamp);
        if (submittedBefore) token.permit(buyer, address(escrow), t.amount, block.timestamp, v, r, s);
        bytes memory sig = signed ? signature(MERCHANT_KEY, escrow.digestOf(t)) : bytes("");
        vm.prank(buyer);
        escrow.fundWithPermit(t, sig, block.timestamp, v, r, s);
        assert(statusOf(t) == (signed ? Status.Accepted : Status.Offered));
        assert(token.balanceOf(address(escrow)) == t.amount && token.balanceOf(buyer) == 0);
    }

    function testFuzz_fundWithPermit_GivenAnotherPermit_NeedsTheAllowance(uint8 fault, bool allowed) external {
        Terms memory t = newTerms(100);
        token.mint(buyer, 100);
        (uint8 v, bytes32 r, bytes32 s) = _permit(fault % 3 == 0 ? 99 : 100, block.timestamp);
        if (fault % 3 == 1) r = bytes32(uint256(r) ^ 1);
        uint256 deadline = fault % 3 == 2 ? block.timestamp + 1 : block.timestamp;
        if (allowed) {
            vm.prank(buyer);
            token.approve(address(escrow), 100);
        }
        (bool ok,) = tryAs(buyer, address(escrow), abi.encodeCall(escrow.fundWithPermit, (t, "", deadline, v, r, s)));
        assert(ok == allowed && token.balanceOf(address(escrow)) == (allowed ? 100 : 0));
    }

    function test_fundWithPermit_GivenCoins_Reverts() external {
        Terms memory t = newTerms(100);
        t.token = address(0);
        (bool ok,) = tryAs(buyer, address(escrow), abi.encodeCall(escrow.fundWithPermit, (t, "", 0, 27, 0, 0)));
        assert(!ok && statusOf(t) == Status.None);
    }

    // ── fundWithAuthorization ───────────────────────────────────────────────────────────────────────────────────

    function testFuzz_fundWithAuthorization_GivenTheBuyersForThisOrder_FundsWhoeverRelays(
        address relayer,
        uint96 amount,
        bool signed,
        bool open
    ) external {
        Terms memory t = newTerms(uint256(amount) + 1);
        if (open) t.buyer = address(0);
        token.mint(buyer, t.amount);
        bytes memory sig = signed ? signature(MERCHANT_KEY, escrow.digestOf(t)) : bytes("");
        (bool ok,) = tryAs(relayer, address(escrow), _authorised(t, sig, escrow.orderIdOf(t, buyer), t.amount));
        assert(ok && statusOf(t) == (signed ? Status.Accepted : Status.Offered));
        assert(token.balanceOf(address(escrow)) == t.amount && token.balanceOf(buyer) == 0);
    }

    /// A relayer that withholds the merchant's signature makes an offer, which anybody completes.
    function test_acceptBySig_WhenTheRelayerDroppedTheSignature_MakesTheSale() external {
        Terms memory t = newTerms(100);
        token.mint(buyer, 100);
        (bool ok,) = tryAs(RELAYER, address(escrow), _authorised(t, "", escrow.orderIdOf(t, buyer), 100));
        assert(ok && statusOf(t) == Status.Offered);
        escrow.acceptBySig(t, buyer, signature(MERCHANT_KEY, escrow.digestOf(t)));
        assert(statusOf(t) == Status.Accepted);
    }

    function testFuzz_acceptBySig_GivenAnotherSignature_Reverts(uint256 key) external {
        Terms memory t = newTerms(100);
        fundAs(t, false);
        key = 1 + key % type(uint128).max;
        if (key == MERCHANT_KEY) return;
        bytes memory sig = signature(key, escrow.digestOf(t));
        vm.expectRevert(IEscrow.BadSignature.selector);
        escrow.acceptBySig(t, buyer, sig);
    }

    function testFuzz_fundWithAuthorization_GivenAnotherNonceAmountOrOrder_Reverts(uint8 fault, uint96 other) external {
        Terms memory t = newTerms(100);
        token.mint(buyer, type(uint128).max);
        bytes32 nonce = escrow.orderIdOf(t, buyer);
        if (fault % 3 == 0) nonce = bytes32(uint256(nonce) ^ (1 + uint256(other)));
        uint256 amount = fault % 3 == 1 ? 101 + uint256(other) : 100;
        if (fault % 3 == 2) t.inspectWithin += 1; // another order, with the first one's authorisation
        bytes memory call = _authorised(t, "", nonce, amount);
        (bool ok,) = tryAs(RELAYER, address(escrow), call);
        assert(!ok && statusOf(t) == Status.None && token.balanceOf(address(escrow)) == 0);
    }

    function test_fundWithAuthorization_WhenUsed_FundsNothingAgain() external {
        Terms memory t = newTerms(100);
        token.mint(buyer, 200);
        bytes memory call = _authorised(t, "", escrow.orderIdOf(t, buyer), 100);
        (bool ok,) = tryAs(RELAYER, address(escrow), call);
        assert(ok);
        (ok,) = tryAs(RELAYER, address(escrow), call);
        assert(!ok && token.balanceOf(buyer) == 100);
    }

    function test_fundWithAuthorization_GivenATokenThatMovesLess_Reverts() external {
        ShortToken short = new ShortToken();
        Terms memory t = newTerms(100);
        t.token = address(short);
        short.mint(buyer, 100);
        _refused(
            _authorisedBy(short, t, "", escrow.orderIdOf(t, buyer), 100),
            abi.encodeWithSelector(ITill.WrongPayment.selector, 100, 99)
        );
    }

    // ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    function _refused(bytes memory call, bytes memory why) private {
        vm.prank(buyer);
        (bool ok, bytes memory got) = address(escrow).call(call);
        assert(!ok);
        _same(got, why);
    }

    function _same(bytes memory got, bytes memory wanted) private pure {
        assert(keccak256(got) == keccak256(wanted));
    }

    function _permit(uint256 amount, uint256 deadline) private returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 h = keccak256(abi.encode(PERMIT, buyer, address(escrow), amount, token.nonces(buyer), deadline));
        return vm.sign(BUYER_KEY, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), h)));
    }

    function _authorised(Terms memory t, bytes memory sig, bytes32 nonce, uint256 amount)
        private
        returns (bytes memory)
    {
        return _authorisedBy(token, t, sig, nonce, amount);
    }

    function _authorisedBy(TestToken money, Terms memory t, bytes memory sig, bytes32 nonce, uint256 amount)
        private
        returns (bytes memory)
    {
        bytes32 h = keccak256(abi.encode(RECEIVE, buyer, address(escrow), amount, 0, type(uint256).max, nonce));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(BUYER_KEY, keccak256(abi.encodePacked(hex"1901", money.DOMAIN_SEPARATOR(), h)));
        return abi.encodeCall(escrow.fundWithAuthorization, (t, sig, buyer, uint256(0), type(uint256).max, v, r, s));
    }
}
