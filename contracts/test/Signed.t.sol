// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Signed} from "../src/Signed.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";

/// ERC-5267 says what the separator of each contract is made of, on whatever chain.
contract SignedTest is Hall {
    function testFuzz_eip712Domain_GivenAnyChain_HashesToTheSeparator(uint32 chain) external {
        vm.chainId(uint256(chain) + 1);
        _describes(escrow, "Halle Escrow");
        _describes(warranty, "Halle Warranty");
        _describes(tracking, "Halle Delivery Tracking");
    }

    function _describes(Signed signed, string memory expected) private view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = signed.eip712Domain();
        assert(fields == 0x0f && salt == 0 && extensions.length == 0);
        assert(keccak256(bytes(name)) == keccak256(bytes(expected)) && chainId == block.chainid);
        assert(verifyingContract == address(signed) && keccak256(bytes(version)) == keccak256("1"));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                verifyingContract
            )
        );
        assert(signed.DOMAIN_SEPARATOR() == domain);
    }
}
