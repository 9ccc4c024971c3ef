// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {say} from "./Vm.sol";
import {EscrowHandler} from "./EscrowHandler.sol";

/// The escrow's laws under random calls. The handler checks them after each call that found an order, for the money it
/// moved, and keeps the name of a broken one; all money is counted again at the end of each run.
contract EscrowInvariantTest {
    EscrowHandler private _handler;

    function setUp() external {
        _handler = new EscrowHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function excludeSelectors() external view returns (FuzzSelector[] memory excluded) {
        excluded = new FuzzSelector[](1);
        excluded[0] = FuzzSelector(address(_handler), new bytes4[](1));
        excluded[0].selectors[0] = EscrowHandler.finishAll.selector;
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function invariant_theLawsOfTheEscrow() external view {
        require(bytes(_handler.broken()).length == 0, _handler.broken());
    }

    /// Liveness, at the end of each run, from whatever state it left.
    function afterInvariant() external {
        require(_handler.finishAll(), "somebody alone can finish");
        address[3] memory moneys = _handler.moneys();
        for (uint256 i = 0; i < 3; ++i) {
            require(_handler.isSolvent(moneys[i]), "money in = money out + held + credits");
        }
        this.invariant_theLawsOfTheEscrow();
    }
}

/// The same handler driven by a fixed sequence: each call must have worked often, or the campaign proves nothing.
contract EscrowHandlerTest {
    function test_EveryCallOfTheHandlerWorksOften() external {
        EscrowHandler handler = new EscrowHandler();
        for (uint256 i = 0; i < 12_000; ++i) {
            _call(handler, uint256(keccak256(abi.encode(i))));
        }
        require(bytes(handler.broken()).length == 0, handler.broken());
        string[18] memory names = [
            "accept",
            "acceptBySig",
            "lapse",
            "ship",
            "deliver",
            "deliverByCarrier",
            "claim",
            "claimMany",
            "release",
            "releaseBySig",
            "refund",
            "settle",
            "reclaim",
            "dispute",
            "escalate",
            "rule",
            "closeByDefault",
            "withdraw"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            require(handler.worked(names[i]) >= 10, names[i]);
            say(names[i], handler.worked(names[i]));
        }
        require(handler.closed() >= 200, "closed");
        require(handler.finishAll(), "somebody alone can finish");
    }

    function _call(EscrowHandler h, uint256 r) private {
        (uint256 seed, uint8 a, bool b, bool c) = (r >> 128, uint8(r >> 8), r & 1 == 0, r & 2 == 0);
        uint256 what = (r >> 32) % 26;
        if (what < 4) return h.fund(a, uint96(seed), b, c, r & 4 == 0);
        if (what == 4) return h.accept(seed);
        if (what == 5) return h.acceptBySig(seed);
        if (what == 6) return h.lapse(seed);
        if (what == 7) return h.ship(seed);
        if (what == 8) return h.deliver(seed, b);
        if (what == 9) return h.deliverByCarrier(seed, b);
        if (what == 10) return h.claim(seed, b);
        if (what == 11) return h.claimMany(seed, b);
        if (what == 12) return h.release(seed, a, seed);
        if (what == 13) return h.releaseBySig(seed, a, seed);
        if (what == 14) return h.refund(seed, a, seed);
        if (what == 15) return h.settle(seed, a, seed, b);
        if (what == 16) return h.reclaim(seed, b);
        if (what == 17) return h.dispute(seed, a, b);
        if (what == 18) return h.escalate(seed);
        if (what == 19) return h.rule(seed, b, uint16(seed));
        if (what == 20) return h.closeByDefault(seed, b);
        if (what == 21) return h.meddle(seed, a, uint8(seed));
        if (what == 22) return h.refuse(a, b);
        if (what == 23) return h.withdraw(a, uint8(seed));
        if (what == 24) return h.fundAgain(seed, a);
        h.wait_(uint32(seed));
    }
}
