// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DeliveryTracking} from "../src/DeliveryTracking.sol";
import {Escrow} from "../src/Escrow.sol";
import {Warranty} from "../src/Warranty.sol";
import {IEscrow, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {TestToken} from "../src/test/TestToken.sol";
import {vm} from "./Vm.sol";

/// The contracts, a token, and the people of an order.
abstract contract Hall {
    uint256 internal constant MERCHANT_KEY = 0xA11CE;
    uint256 internal constant BUYER_KEY = 0xB0B;
    bytes internal constant CODE = "0123456789abcdef";

    DeliveryTracking internal tracking = new DeliveryTracking();
    Escrow internal escrow = new Escrow(tracking);
    Warranty internal warranty = new Warranty(escrow);
    TestToken internal token = new TestToken("Test euro", "TEUR", 6);

    address internal merchant = vm.addr(MERCHANT_KEY);
    address internal buyer = vm.addr(BUYER_KEY);
    address internal arbiter = address(0xA4B1);
    address internal backup = address(0xBAC0);
    address internal carrier = address(0xCA44);
    uint256 private _serial;

    function newTerms(uint256 amount) internal returns (Terms memory) {
        return Terms({
            merchant: merchant,
            buyer: buyer,
            token: address(token),
            amount: amount,
            arbiter: arbiter,
            backupArbiter: backup,
            arbiterFeeBps: 200,
            defaultBuyerBps: 5_000,
            validUntil: uint40(block.timestamp + 1 hours),
            acceptWithin: 2 days,
            shipWithin: 3 days,
            deliverWithin: 10 days,
            inspectWithin: 4 days,
            arbiterWithin: 7 days,
            carrier: carrier,
            deliveryCode: keccak256(CODE),
            proofRequired: false,
            orderHash: bytes32(++_serial)
        });
    }

    function fundAs(Terms memory t, bool signed) internal returns (bytes32) {
        token.mint(buyer, t.amount);
        vm.prank(buyer);
        token.approve(address(escrow), t.amount);
        bytes memory sig = signed ? signature(MERCHANT_KEY, escrow.digestOf(t)) : bytes("");
        vm.prank(buyer);
        return escrow.fund(t, sig);
    }

    function signature(uint256 key, bytes32 digest) internal returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function typed(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", escrow.DOMAIN_SEPARATOR(), structHash));
    }

    function releaseSig(uint256 key, Terms memory t, uint256 amount, uint256 deadline) internal returns (bytes memory) {
        bytes32 typeHash = keccak256("Release(bytes32 orderId,uint256 amount,uint256 paidOut,uint256 deadline)");
        bytes32 id = escrow.orderIdOf(t, buyer);
        (,, uint128 paidOut) = escrow.orders(id);
        return signature(key, typed(keccak256(abi.encode(typeHash, id, amount, paidOut, deadline))));
    }

    function settleSig(uint256 key, Terms memory t, uint256 share) internal returns (bytes memory) {
        bytes32 typeHash = keccak256("Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)");
        bytes32 id = escrow.orderIdOf(t, buyer);
        (,, uint128 paidOut) = escrow.orders(id);
        return signature(key, typed(keccak256(abi.encode(typeHash, id, share, paidOut))));
    }

    function operatorSig(address who, address operator, uint64 until, uint256 nonce, uint256 deadline)
        internal
        returns (bytes memory)
    {
        bytes32 typeHash = keccak256(
            "SetOperator(address merchant,address operator,uint64 until,uint256 nonce,uint256 deadline)"
        );
        return signature(MERCHANT_KEY, typed(keccak256(abi.encode(typeHash, who, operator, until, nonce, deadline))));
    }

    function tryAs(address by, address target, bytes memory call) internal returns (bool ok, bytes4 why) {
        bytes memory result;
        vm.prank(by);
        (ok, result) = target.call(call);
        why = bytes4(result);
    }

    function statusOf(Terms memory t) internal view returns (Status status) {
        (status,,) = escrow.orders(escrow.orderIdOf(t, buyer));
    }

    function deadlineOf(Terms memory t) internal view returns (uint40 deadline) {
        (, deadline,) = escrow.orders(escrow.orderIdOf(t, buyer));
    }

    function shipAs(Terms memory t) internal {
        vm.prank(merchant);
        escrow.ship(t, buyer, bytes32("shipment"));
    }
}
