// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Asks a chain, in one `eth_call`, whether an account signed a digest
/// @notice Never deployed: the call carries this code and its arguments as if it were to be, and what would become the
/// code of the contract is the answer, one byte, 1 or 0. Key first, contract second, as in `Signed`.
/// @dev ERC-6492: a signature that ends in the magic word is `abi.encode(factory, factoryCalldata, signature)` of an
/// account that may not exist yet; the factory is called only when the account does not confirm the signature without.
/// Calling a stranger's factory is harmless here, because nothing a call does stays. Contracts that hold money must not.
contract SignatureValidator {
    bytes32 private constant MAGIC = 0x6492649264926492649264926492649264926492649264926492649264926492;

    constructor(address signer, bytes32 digest, bytes memory signature) {
        bool valid = _isValid(signer, digest, signature);
        // A constructor cannot return otherwise.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            mstore(0, valid)
            return(31, 1)
        }
    }

    function _isValid(address signer, bytes32 digest, bytes memory signature) private returns (bool) {
        if (signer == address(0)) return false;
        if (!_isWrapped(signature)) return _isSignedBy(signer, digest, signature);
        (address factory, bytes memory data, bytes memory inner) = _unwrapped(signature);
        if (_isSignedBy(signer, digest, inner)) return true;
        // slither-disable-next-line low-level-calls - the factory and its call are the signature's to name
        (bool made,) = factory.call(data);
        return made && _isSignedBy(signer, digest, inner);
    }

    function _isWrapped(bytes memory signature) private pure returns (bool wrapped) {
        uint256 length = signature.length;
        if (length < 32) return false;
        // slither-disable-next-line assembly - the last word, in place
        assembly ("memory-safe") {
            wrapped := eq(mload(add(signature, length)), MAGIC)
        }
    }

    /// @dev The words before the magic one; malformed ones revert, which is no confirmation either.
    function _unwrapped(bytes memory signature) private pure returns (address, bytes memory, bytes memory) {
        // slither-disable-next-line assembly - shortens in place
        assembly ("memory-safe") {
            mstore(signature, sub(mload(signature), 32))
        }
        return abi.decode(signature, (address, bytes, bytes));
    }

    function _isSignedBy(address signer, bytes32 digest, bytes memory signature) private view returns (bool) {
        // slither-disable-next-line unused-return - whatever was wrong, the answer is the same: nobody signed
        (address recovered,,) = ECDSA.tryRecover(digest, signature);
        if (recovered == signer) return true;
        return signer.code.length != 0 && SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature);
    }
}
