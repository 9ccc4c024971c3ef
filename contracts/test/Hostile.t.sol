// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITill} from "../src/interfaces/ITill.sol";
import {Status, Terms} from "../src/interfaces/IEscrow.sol";
import {TestToken} from "../src/test/TestToken.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {NastyReceiver} from "./fixtures/NastyReceiver.sol";
import {NastyToken} from "./fixtures/NastyToken.sol";

/// A token whose issuer changes balances at will.
contract RebasingToken is TestToken("Rebasing", "REB", 18) {
    function burn(address from, uint256 amount) external {
        _burn(from, amount);
    }
}

contract HostileTest is Hall {
    NastyToken private _nasty = new NastyToken();

    function _funded(address money, uint256 amount) private returns (Terms memory t) {
        t = newTerms(amount);
        t.token = money;
        _supply(t);
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
        vm.prank(buyer);
        escrow.fund(t, sig);
    }

    function _supply(Terms memory t) private {
        NastyToken(t.token).mint(buyer, t.amount);
        vm.prank(buyer);
        NastyToken(t.token).approve(address(escrow), type(uint256).max);
    }

    function testFuzz_fund_GivenAFeeOnTransfer_Reverts(uint16 bps, uint96 amount) external {
        Terms memory t = newTerms(uint256(amount) + 10_000);
        t.token = address(_nasty);
        _supply(t);
        _nasty.setFee(1 + bps % 10_000);
        vm.prank(buyer);
        vm.expectPartialRevert(ITill.WrongPayment.selector);
        escrow.fund(t, "");
    }

    function testFuzz_release_GivenAnyFailureOfTheToken_BecomesACreditThatGoesElsewhere(uint8 mode, uint96 amount)
        external
    {
        Terms memory t = _funded(address(_nasty), uint256(amount) + 1);
        uint256 how = [1, 3, 4, 5, 6][mode % 5];
        if (how == 6) _nasty.setBlocked(merchant, true);
        else _nasty.setMode(how);
        vm.prank(buyer);
        escrow.release{gas: 3_000_000}(t, buyer, t.amount);
        _nasty.setMode(0);
        assert(escrow.credits(address(_nasty), merchant) == t.amount);
        vm.expectEmit();
        emit ITill.Withdrawn(address(_nasty), merchant, address(0xE15E), t.amount);
        vm.prank(merchant);
        assert(escrow.withdraw(address(_nasty), address(0xE15E)) == t.amount);
        assert(_nasty.balanceOf(address(0xE15E)) == t.amount && escrow.credits(address(_nasty), merchant) == 0);
    }

    function testFuzz_release_GivenATokenWithoutReturnValue_Pays(uint96 amount) external {
        _nasty.setMode(2);
        Terms memory t = _funded(address(_nasty), uint256(amount) + 1);
        vm.prank(buyer);
        escrow.release(t, buyer, t.amount);
        assert(_nasty.balanceOf(merchant) == t.amount);
    }

    function test_release_GivenTwoOrThirtyDecimals_PaysEveryUnit() external {
        for (uint8 decimals = 2; decimals <= 30; decimals += 28) {
            TestToken money = new TestToken("M", "M", decimals);
            uint256 amount = decimals == 2 ? 1 : type(uint128).max;
            Terms memory t = _funded(address(money), amount);
            vm.prank(buyer);
            escrow.release(t, buyer, amount);
            assert(money.balanceOf(merchant) == amount);
        }
    }

    /// What an issuer takes away is lost for that token only, and whoever comes first is paid.
    function test_release_GivenARebasingToken_HurtsOnlyThatToken() external {
        RebasingToken money = new RebasingToken();
        Terms memory a = _funded(address(money), 100);
        Terms memory b = _funded(address(money), 100);
        Terms memory sound = _funded(address(token), 100);
        money.burn(address(escrow), 50);
        vm.prank(buyer);
        escrow.release(a, buyer, 100);
        vm.prank(buyer);
        escrow.release(b, buyer, 100);
        assert(money.balanceOf(merchant) == 100 && escrow.credits(address(money), merchant) == 100);
        vm.prank(buyer);
        escrow.release(sound, buyer, 100);
        assert(token.balanceOf(merchant) == 100);
    }

    /// Kleros's and Origin's hole: one side is blacklisted, the other gets its share at once.
    function testFuzz_rule_GivenABlacklistedParty_PaysTheOther(uint8 who, uint16 bps) external {
        Terms memory t = _funded(address(_nasty), 10_000);
        vm.prank(buyer);
        escrow.dispute(t, buyer, "e");
        address blocked = [merchant, buyer, arbiter][who % 3];
        _nasty.setBlocked(blocked, true);
        vm.prank(arbiter);
        escrow.rule(t, buyer, bps % 10_001);
        uint256 toBuyer = (9_800 * uint256(bps % 10_001)) / 10_000;
        assert(_nasty.balanceOf(buyer) + escrow.credits(address(_nasty), buyer) == toBuyer);
        assert(_nasty.balanceOf(merchant) + escrow.credits(address(_nasty), merchant) == 9_800 - toBuyer);
        assert(_nasty.balanceOf(arbiter) + escrow.credits(address(_nasty), arbiter) == 200);
        assert(_nasty.balanceOf(blocked) == 0);
    }

    function test_release_GivenATokenThatCallsBack_PaysOnce() external {
        Terms memory t = _funded(address(_nasty), 100);
        Terms memory other = _funded(address(_nasty), 100);
        _nasty.setHook(address(escrow), abi.encodeCall(escrow.release, (t, buyer, 100)));
        vm.prank(buyer);
        escrow.release(t, buyer, 100);
        assert(_nasty.balanceOf(merchant) == 100 && statusOf(other) == Status.Accepted);
        assert(_nasty.balanceOf(address(escrow)) == 100);
    }

    /// Coins: the receiver reverts, burns all gas, returns a megabyte, or claims again.
    function testFuzz_claim_GivenAHostileReceiver_BecomesACreditOrIsPaidOnce(uint8 mode) external {
        NastyReceiver receiver = new NastyReceiver();
        Terms memory t = newTerms(1_000);
        (t.token, t.merchant) = (address(0), address(receiver));
        vm.deal(buyer, 1_000);
        vm.prank(buyer);
        escrow.fund{value: 1_000}(t, "");
        receiver.act(address(escrow), 0, abi.encodeCall(escrow.accept, (t, buyer)));
        receiver.act(address(escrow), 0, abi.encodeCall(escrow.ship, (t, buyer, "p")));
        vm.warp(uint256(deadlineOf(t)) + 1);
        receiver.setMode(1 + mode % 4);
        receiver.setHook(address(escrow), abi.encodeCall(escrow.claim, (t, buyer)));
        escrow.claim{gas: 1_000_000}(t, buyer);
        assert(address(receiver).balance + escrow.credits(address(0), address(receiver)) == 1_000);
        assert(address(escrow).balance + address(receiver).balance == 1_000);
        assert(!receiver.hookWorked());
    }

    /// Too little gas to book a credit reverts the call: no gas limit loses money.
    function testFuzz_release_GivenAnyGas_PaysCreditsOrReverts(uint32 gas_) external {
        Terms memory t = _funded(address(_nasty), 100);
        _nasty.setMode(3);
        vm.prank(buyer);
        (bool ok,) = address(escrow).call{gas: 30_000 + gas_ % 600_000}(abi.encodeCall(escrow.release, (t, buyer, 100)));
        _nasty.setMode(0);
        assert(ok == (escrow.credits(address(_nasty), merchant) == 100));
        assert(ok == (statusOf(t) == Status.Closed) && _nasty.balanceOf(address(escrow)) == 100);
    }
}
