// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Attestation, IDeliveryTracking} from "../src/interfaces/IDeliveryTracking.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";

contract DeliveryTrackingTest is Hall {
    uint256 private constant CARRIER_KEY = 0xCA4;

    function testFuzz_attest_GivenAnyStatusAndTime_KeepsTheNewestOrReverts(uint8 status, uint40 at) external {
        vm.warp(1_000_000);
        bool may = status >= 1 && status <= 8 && at >= 1 && at <= block.timestamp + 10 minutes;
        (bool ok,) = address(tracking).call(abi.encodeCall(tracking.attest, ("p", status, at, "d")));
        assert(ok == may);
        (uint8 known, uint40 when,) = tracking.latest(address(this), "p");
        assert(known == (may ? status : 0) && when == (may ? at : 0));
    }

    function testFuzz_attestMany_GivenAnyOrder_NeverForgetsTheFirstDelivery(
        uint40[5] memory times,
        uint8[5] memory statuses
    ) external {
        vm.warp(1_000_000);
        Attestation[] memory all = new Attestation[](5);
        (uint40 newest, uint40 delivered) = (0, 0);
        for (uint256 i = 0; i < 5; ++i) {
            all[i] = Attestation("p", 1 + statuses[i] % 8, 1 + times[i] % 1_000_000, "d");
            if (all[i].at > newest) newest = all[i].at;
            if (all[i].status == 6 && delivered == 0) delivered = all[i].at;
        }
        tracking.attestMany(all);
        (, uint40 at, uint40 deliveredAt) = tracking.latest(address(this), "p");
        assert(at == newest && deliveredAt == delivered);
    }

    function testFuzz_attestBySig_GivenTheCarriersSignature_WorksOnceAndOnlyForIt(uint40 at, uint32 life) external {
        vm.warp(1_000_000);
        Attestation memory a = Attestation("p", 2, 1 + at % 1_000_000, "d");
        address by = vm.addr(CARRIER_KEY);
        uint256 deadline = block.timestamp + life;
        bytes memory sig = _sign(a, by, deadline);
        vm.expectRevert(IDeliveryTracking.BadSignature.selector);
        tracking.attestBySig(address(0xBAD), a, deadline, sig);
        vm.warp(deadline);
        tracking.attestBySig(by, a, deadline, sig);
        vm.expectRevert(abi.encodeWithSelector(IDeliveryTracking.BadTime.selector, a.at));
        tracking.attestBySig(by, a, deadline, sig);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IDeliveryTracking.TooLate.selector, deadline));
        tracking.attestBySig(by, a, deadline, sig);
    }

    function _sign(Attestation memory a, address by, uint256 deadline) private returns (bytes memory) {
        bytes32 typeHash = keccak256(
            "Attestation(address carrier,bytes32 shipmentId,uint8 status,uint40 at,bytes32 detailHash,uint256 deadline)"
        );
        bytes32 h = keccak256(abi.encode(typeHash, by, a.shipmentId, a.status, a.at, a.detailHash, deadline));
        return signature(CARRIER_KEY, keccak256(abi.encodePacked(hex"1901", tracking.DOMAIN_SEPARATOR(), h)));
    }
}
