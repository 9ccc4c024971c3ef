// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {say} from "./Vm.sol";
import {WarrantyHandler} from "./WarrantyHandler.sol";

/// The laws of bonds and certificates under random calls.
contract WarrantyInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    WarrantyHandler private _handler;

    function setUp() external {
        _handler = new WarrantyHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function excludeSelectors() external view returns (FuzzSelector[] memory excluded) {
        excluded = new FuzzSelector[](1);
        excluded[0] = FuzzSelector(address(_handler), new bytes4[](1));
        excluded[0].selectors[0] = WarrantyHandler.finishAll.selector;
    }

    function invariant_theLawsOfTheWarranty() external view {
        require(bytes(_handler.broken()).length == 0, _handler.broken());
    }

    function afterInvariant() external {
        require(_handler.isBacked(), "reserved = cover of open certificates <= bond; money in = money out + bond");
        require(_handler.finishAll(), "somebody alone can finish");
    }
}

/// The same handler driven by a fixed sequence: each call must have worked often, or the campaign proves nothing.
contract WarrantyHandlerTest {
    function test_EveryCallOfTheHandlerWorksOften() external {
        WarrantyHandler handler = new WarrantyHandler();
        for (uint256 i = 0; i < 8_000; ++i) {
            _call(handler, uint256(keccak256(abi.encode(i))));
        }
        require(bytes(handler.broken()).length == 0, handler.broken());
        require(handler.isBacked(), "backed");
        string[14] memory names = [
            "deposit",
            "withdrawBond",
            "register",
            "buy",
            "openClaim",
            "acceptClaim",
            "offer",
            "acceptOffer",
            "lapseOffer",
            "contest",
            "payUnanswered",
            "ruleClaim",
            "expire",
            "surrender"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            require(handler.worked(names[i]) >= 10, names[i]);
            say(names[i], handler.worked(names[i]));
        }
        require(handler.worked("resell") >= 10, "resell");
        require(handler.finishAll(), "somebody alone can finish");
    }

    function _call(WarrantyHandler h, uint256 r) private {
        (uint256 seed, uint8 a, bool b, bool c) = (r >> 128, uint8(r >> 8), r & 1 == 0, r & 2 == 0);
        uint256 what = (r >> 32) % 20;
        if (what == 0) return h.deposit(uint96(seed));
        if (what == 1) return h.withdrawBond(seed, b);
        if (what < 5) return h.register(seed, uint32(seed), b, c);
        if (what < 7) return h.openClaim(seed, seed, b || c);
        if (what == 7) return h.acceptClaim(seed, a, b);
        if (what == 8) return h.offer(seed);
        if (what == 9) return h.acceptOffer(seed, b);
        if (what == 10) return h.lapseOffer(seed);
        if (what == 11) return h.contest(seed, b);
        if (what == 12) return h.payUnanswered(seed, b);
        if (what == 13) return h.ruleClaim(seed, seed, b && c);
        if (what == 14) return h.expire(seed);
        if (what == 15) return h.surrender(seed, b);
        if (what == 16) return h.resell(seed, a);
        if (what == 17) return h.refuse(a, b);
        if (what == 18) return h.meddle(seed, a, uint8(seed));
        h.wait_(uint32(seed));
    }
}
