// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ArbiterERC792} from "../src/ArbiterERC792.sol";
import {IEvidence} from "../src/interfaces/IERC1497.sol";
import {IArbitrable} from "../src/interfaces/IERC792.sol";
import {IEscrow, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {ITill} from "../src/interfaces/ITill.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {Court} from "./fixtures/Court.sol";

/// A court that calls back while it takes a case, and rules before it has one.
contract NastyCourt is Court {
    address private _target;
    bytes private _call;
    bool public worked;
    bytes public result;

    function setHook(address target, bytes calldata call_) external {
        (_target, _call) = (target, call_);
    }

    function createDispute(uint256 choices, bytes calldata extra) public payable override returns (uint256 id) {
        id = super.createDispute(choices, extra);
        (worked, result) = _target.call(_call);
    }
}

contract ArbiterERC792Test is Hall {
    Court private _court = new Court();
    ArbiterERC792 private _adapter = new ArbiterERC792(escrow, _court, "", "ipfs://rules");
    Terms private _order;

    receive() external payable {}

    function _disputed(address money, bool asBackup) private returns (Terms memory t) {
        t = newTerms(1_000);
        t.token = money;
        t.arbiter = asBackup ? arbiter : address(_adapter);
        t.backupArbiter = asBackup ? address(_adapter) : backup;
        if (money == address(0)) {
            vm.deal(buyer, 1_000);
            bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(t));
            vm.prank(buyer);
            escrow.fund{value: 1_000}(t, sig);
        } else {
            fundAs(t, true);
        }
        vm.prank(buyer);
        escrow.dispute(t, buyer, "evidence");
        if (asBackup) {
            vm.warp(uint256(deadlineOf(t)) + 1);
            escrow.escalate(t, buyer);
        }
    }

    function _ask(Terms memory t) private returns (uint256) {
        vm.deal(address(this), 1 ether);
        return _adapter.ask{value: 0.01 ether}(t, buyer);
    }

    function testFuzz_execute_GivenARuling_SplitsAsRuledAndPassesTheFeeOn(uint8 choice, bool coins, bool asBackup)
        external
    {
        uint256 ruling = choice % 4;
        Terms memory t = _disputed(coins ? address(0) : address(token), asBackup);
        uint256 id = _ask(t);
        _court.giveRuling(id, ruling);
        _adapter.execute(id, t, buyer);
        uint256 toBuyer = ruling == 1 ? 980 : ruling == 2 ? 0 : 490;
        assert((coins ? buyer.balance : token.balanceOf(buyer)) == toBuyer);
        assert((coins ? merchant.balance : token.balanceOf(merchant)) == 980 - toBuyer);
        assert(_adapter.credits(t.token, address(this)) == 20);
        assert(_adapter.withdraw(t.token, address(0xFEE)) == 20);
        assert((coins ? address(0xFEE).balance : token.balanceOf(address(0xFEE))) == 20);
        vm.expectRevert(ArbiterERC792.NotRuling.selector);
        _adapter.execute(id, t, buyer);
    }

    function test_ask_GivenTooMuch_GivesTheRestBack() external {
        Terms memory t = _disputed(address(token), false);
        vm.deal(address(this), 1 ether);
        _adapter.ask{value: 0.5 ether}(t, buyer);
        assert(address(this).balance == 0.99 ether && address(_court).balance == 0.01 ether);
    }

    function test_ask_GivenTooLittle_Reverts() external {
        Terms memory t = _disputed(address(token), false);
        vm.deal(address(this), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(ITill.WrongPayment.selector, 0.01 ether, 0.009 ether));
        _adapter.ask{value: 0.009 ether}(t, buyer);
    }

    function test_ask_WhenAsked_Reverts() external {
        Terms memory t = _disputed(address(token), false);
        uint256 id = _ask(t);
        vm.deal(address(this), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(ArbiterERC792.AlreadyAsked.selector, id));
        _adapter.ask{value: 0.01 ether}(t, buyer);
    }

    function test_ask_WhenNotDisputedOrNotThisArbiter_Reverts() external {
        Terms memory t = newTerms(1_000);
        t.arbiter = address(_adapter);
        fundAs(t, true);
        vm.expectRevert(abi.encodeWithSelector(ArbiterERC792.NotDue.selector, Status.Accepted));
        _adapter.ask(t, buyer);
        t = _disputed(address(token), true);
        t.backupArbiter = address(0);
        vm.expectRevert(abi.encodeWithSelector(ArbiterERC792.NotDue.selector, Status.None));
        _adapter.ask(t, buyer);
        t = newTerms(1_000);
        fundAs(t, true);
        vm.prank(buyer);
        escrow.dispute(t, buyer, "");
        vm.expectRevert(abi.encodeWithSelector(ArbiterERC792.NotDue.selector, Status.Disputed));
        _adapter.ask(t, buyer);
        vm.warp(uint256(deadlineOf(t)) + 1);
        escrow.escalate(t, buyer);
        vm.expectRevert(abi.encodeWithSelector(ArbiterERC792.NotDue.selector, Status.Escalated));
        _adapter.ask(t, buyer);
    }

    function test_constructor_AnnouncesTheRulesOfTheCourt() external {
        vm.expectEmit();
        emit IEvidence.MetaEvidence(0, "ipfs://rules");
        new ArbiterERC792(escrow, _court, "", "ipfs://rules");
    }

    /// Courts and their jurors' pages read a case from its events alone.
    function test_eachStep_TellsTheCourtAndTheOrder() external {
        Terms memory t = _disputed(address(token), false);
        bytes32 id = escrow.orderIdOf(t, buyer);
        vm.deal(address(this), 1 ether);
        vm.expectEmit();
        emit IEvidence.Dispute(_court, 0, 0, uint256(id));
        vm.expectEmit();
        emit ArbiterERC792.Asked(id, 0, address(this));
        _adapter.ask{value: 0.01 ether}(t, buyer);
        vm.expectEmit();
        emit IEvidence.Evidence(_court, uint256(id), address(this), "ipfs://photo");
        _adapter.submitEvidence(0, "ipfs://photo");
        vm.expectEmit();
        emit IArbitrable.Ruling(_court, 0, 1);
        vm.expectEmit();
        emit ArbiterERC792.Decided(id, 0, 10_000);
        _court.giveRuling(0, 1);
        vm.expectEmit();
        emit ArbiterERC792.Executed(id, 0);
        vm.expectEmit();
        emit ITill.Credited(address(token), address(this), 20);
        _adapter.execute(0, t, buyer);
    }

    function test_execute_WhenTheFeeOfAnotherCaseIsStillHere_CreditsItsOwnOnly() external {
        for (uint256 round = 1; round < 3; ++round) {
            Terms memory t = _disputed(address(token), false);
            uint256 id = _ask(t);
            _court.giveRuling(id, 1);
            _adapter.execute(id, t, buyer);
            assert(_adapter.credits(address(token), address(this)) == 20 * round);
        }
    }

    function testFuzz_rule_GivenAnybodyElse_Reverts(address by) external {
        Terms memory t = _disputed(address(token), false);
        uint256 id = _ask(t);
        if (by == address(_court)) return;
        vm.prank(by);
        vm.expectRevert(ArbiterERC792.NotRuling.selector);
        _adapter.rule(id, 1);
    }

    function test_rule_GivenTwiceOrAnUnknownCaseOrChoice_Reverts() external {
        Terms memory t = _disputed(address(token), false);
        uint256 id = _ask(t);
        vm.expectRevert(ArbiterERC792.NotRuling.selector);
        _court.giveRuling(id, 4);
        _court.giveRuling(id, 1);
        vm.expectRevert(ArbiterERC792.NotRuling.selector);
        _court.giveRuling(id, 2);
        vm.prank(address(_court));
        vm.expectRevert(ArbiterERC792.NotRuling.selector);
        _adapter.rule(id + 1, 1);
    }

    function test_execute_GivenNoRulingOrAnotherOrder_Reverts() external {
        Terms memory t = _disputed(address(token), false);
        Terms memory other = _disputed(address(token), false);
        uint256 id = _ask(t);
        vm.expectRevert(ArbiterERC792.NotRuling.selector);
        _adapter.execute(id, t, buyer);
        _court.giveRuling(id, 1);
        vm.expectRevert(abi.encodeWithSelector(ArbiterERC792.WrongOrder.selector, escrow.orderIdOf(t, buyer)));
        _adapter.execute(id, other, buyer);
    }

    function test_execute_WhenTheWindowIsOver_LeavesTheOrderToTheBackup() external {
        Terms memory t = _disputed(address(token), false);
        uint256 id = _ask(t);
        _court.giveRuling(id, 1);
        uint256 end = deadlineOf(t);
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.TooLate.selector, end));
        _adapter.execute(id, t, buyer);
        escrow.escalate(t, buyer);
        assert(statusOf(t) == Status.Escalated);
    }

    function test_submitEvidence_WhenAsked_IsHeardUntilTheRuling() external {
        Terms memory t = _disputed(address(token), false);
        uint256 id = _ask(t);
        _adapter.submitEvidence(id, "ipfs://photo");
        _court.giveRuling(id, 0);
        vm.expectRevert(ArbiterERC792.NotRuling.selector);
        _adapter.submitEvidence(id, "ipfs://late");
    }

    function test_receive_GivenAStranger_Reverts() external {
        vm.deal(address(this), 1);
        (bool ok,) = address(_adapter).call{value: 1}("");
        assert(!ok);
    }

    function test_ask_GivenACourtThatCallsBack_IsHeardOnce() external {
        NastyCourt nasty = new NastyCourt();
        _adapter = new ArbiterERC792(escrow, nasty, "", "ipfs://rules");
        for (uint256 i = 0; i < 3; ++i) {
            Terms memory t = _disputed(address(token), false);
            bytes[3] memory calls = [
                abi.encodeCall(_adapter.ask, (t, buyer)),
                abi.encodeCall(_adapter.execute, (i, t, buyer)),
                abi.encodeCall(_adapter.rule, (i, 1))
            ];
            nasty.setHook(address(_adapter), calls[i]);
            assert(_ask(t) == i && !nasty.worked());
            bytes4 wanted = i < 2 ? ITill.Reentered.selector : ArbiterERC792.NotRuling.selector;
            assert(bytes4(nasty.result()) == wanted);
            (, address payer, bool ruled, bool executed,) = _adapter.cases(i);
            assert(payer == address(this) && !ruled && !executed);
        }
    }

    /// Whoever paid the court first has the case, and its fee; a second payment is refused whole.
    function testFuzz_ask_GivenAnybodyAndAnySum_CostsTheFeeOnce(address by, uint96 coins) external {
        by = address(uint160(uint256(keccak256(abi.encode(by))))); // none of the addresses that forge uses itself
        Terms memory t = _disputed(address(token), false);
        vm.deal(by, coins);
        vm.prank(by);
        (bool ok,) = address(_adapter).call{value: coins}(abi.encodeCall(_adapter.ask, (t, buyer)));
        assert(ok == (coins >= _court.FEE()) && by.balance == (ok ? coins - _court.FEE() : coins));
        vm.deal(by, 1 ether);
        vm.prank(by);
        (bool again,) = address(_adapter).call{value: 1 ether}(abi.encodeCall(_adapter.ask, (t, buyer)));
        assert(again == !ok && address(_court).balance == _court.FEE());
    }
}
