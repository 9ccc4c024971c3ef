// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SignatureValidator} from "../src/SignatureValidator.sol";
import {vm} from "./Vm.sol";
import {AccountFactory} from "./fixtures/AccountFactory.sol";

/// ├── given nobody as the signer ………………………………………… 0
/// ├── given a key's signature, plain or wrapped ……… 1; another's 0
/// ├── given an ERC-1271 account ………………………………………… as the account says
/// ├── given an account that is not made yet ………………… 1 when its factory makes it, else 0
/// └── given a wrapper that is malformed …………………………… reverts
contract SignatureValidatorTest {
    uint256 private constant KEY = 0xA11CE;
    bytes32 private constant DIGEST = keccak256("what was signed");
    bytes32 private constant MAGIC = 0x6492649264926492649264926492649264926492649264926492649264926492;

    AccountFactory private _factory = new AccountFactory();

    /// What would be deployed is the answer.
    function _confirms(address signer, bytes memory sig) private returns (bool) {
        bytes memory answer = address(new SignatureValidator(signer, DIGEST, sig)).code;
        assert(answer.length == 1 && uint8(answer[0]) < 2);
        return answer[0] == 0x01;
    }

    function _sign(uint256 key) private returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, DIGEST);
        return abi.encodePacked(r, s, v);
    }

    function _wrapped(bytes memory call, bytes memory sig) private view returns (bytes memory) {
        return abi.encodePacked(abi.encode(address(_factory), call, sig), MAGIC);
    }

    function _creation(address owner) private view returns (bytes memory) {
        return abi.encodeCall(_factory.create, (owner, bytes32(uint256(1))));
    }

    function testFuzz_new_GivenAnyKey_ConfirmsItsOwnSignatureOnly(uint256 key) external {
        key = 1 + key % type(uint128).max;
        address signer = vm.addr(KEY);
        assert(_confirms(signer, _sign(key)) == (key == KEY));
        assert(_confirms(vm.addr(key), _sign(key)) && !_confirms(address(0), _sign(key)));
        assert(!_confirms(signer, "") && !_confirms(address(0), ""));
    }

    function test_new_GivenAnAccount_AsksItOnceItIsMade() external {
        address owner = vm.addr(KEY);
        address account = _factory.addressOf(owner, bytes32(uint256(1)));
        assert(!_confirms(account, _sign(KEY)) && !_confirms(account, _wrapped("", _sign(KEY))));
        assert(!_confirms(account, _wrapped(_creation(owner), _sign(0xBAD))) && account.code.length != 0);
        assert(_confirms(account, _sign(KEY)) && _confirms(account, _wrapped("", _sign(KEY))));
        assert(!_confirms(account, _sign(0xBAD)));
    }

    function test_new_GivenAnAccountThatItsFactoryMakes_Confirms() external {
        address owner = vm.addr(KEY);
        address account = _factory.addressOf(owner, bytes32(uint256(1)));
        assert(account.code.length == 0 && _confirms(account, _wrapped(_creation(owner), _sign(KEY))));
        assert(_confirms(owner, _wrapped("", _sign(KEY))) && !_confirms(owner, _wrapped("", _sign(0xBAD))));
    }

    function test_new_GivenAMalformedWrapper_Reverts() external {
        (bool ok,) = address(this).call(abi.encodeCall(this.ask, (vm.addr(KEY), abi.encodePacked(MAGIC))));
        assert(!ok);
    }

    function ask(address signer, bytes calldata sig) external returns (SignatureValidator) {
        return new SignatureValidator(signer, DIGEST, sig);
    }
}
