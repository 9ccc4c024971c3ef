// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title EIP-712 digests of one contract, and who signed them
/// @dev The domain is computed on each call: the runtime code is then the same on every chain, and a chain that forks
/// takes no signature of the other along.
abstract contract Signed {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant VERSION_HASH = keccak256("1");

    function _domainName() internal pure virtual returns (string memory);

    function _domainNameHash() internal pure virtual returns (bytes32);

    /// @notice The EIP-712 domain separator.
    // slither-disable-next-line naming-convention - ERC-2612 made this the name that wallets ask for
    function DOMAIN_SEPARATOR() public view returns (bytes32 separator) {
        (bytes32 typeHash, bytes32 nameHash, bytes32 versionHash) = (DOMAIN_TYPEHASH, _domainNameHash(), VERSION_HASH);
        // Five words at the free pointer, as `abi.encode` would write them, without its copies: it runs in every call.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let p := mload(0x40)
            mstore(p, typeHash)
            mstore(add(p, 0x20), nameHash)
            mstore(add(p, 0x40), versionHash)
            mstore(add(p, 0x60), chainid())
            mstore(add(p, 0x80), address())
            separator := keccak256(p, 0xa0)
        }
    }

    /// @notice The EIP-712 domain, as ERC-5267 has it.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (0x0f, _domainName(), "1", block.chainid, address(this), bytes32(0), new uint256[](0));
    }

    function _typedDigest(bytes32 structHash) internal view returns (bytes32 digest) {
        bytes32 separator = DOMAIN_SEPARATOR();
        // As OpenZeppelin's MessageHashUtils.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let p := mload(0x40)
            mstore(p, hex"1901")
            mstore(add(p, 0x02), separator)
            mstore(add(p, 0x22), structHash)
            digest := keccak256(p, 0x42)
        }
    }

    /// @dev The account behind a 65-byte, low-s signature; zero for anything else.
    function _recover(bytes32 digest, bytes calldata sig) internal pure returns (address signer) {
        // slither-disable-next-line unused-return - whatever was wrong, the answer is the same: nobody signed
        (signer,,) = ECDSA.tryRecoverCalldata(digest, sig);
    }

    /// @dev Key first, contract second: an account that has code by EIP-7702 still signs with its key.
    function _isSignedBy(address account, bytes32 digest, bytes calldata sig) internal view returns (bool) {
        if (account == address(0)) return false;
        return _recover(digest, sig) == account || _isSignedByContract(account, digest, sig);
    }

    function _isSignedByContract(address account, bytes32 digest, bytes calldata sig) internal view returns (bool) {
        return account.code.length != 0 && SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, sig);
    }
}
