// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Certificate, ClaimStatus} from "../src/interfaces/IWarranty.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {NastyToken} from "./fixtures/NastyToken.sol";

/// Random calls on certificates picked by state; says which must work. See `EscrowHandler` for the way of it.
contract WarrantyHandler is Hall {
    struct Cover {
        uint256 id;
        uint256 cover;
        uint256 paid;
        address arbiter;
    }

    uint256 private constant MOST = 10;
    uint256 private constant UNDERWRITER_KEY = 0xC0DE;

    NastyToken private _nasty = new NastyToken();
    address private _underwriter = vm.addr(UNDERWRITER_KEY);
    address private _operator = address(0x0501);
    address[2] private _holders = [address(0xA1), address(0xA2)];
    Cover[] private _covers;
    uint256 private _at;
    uint256 private _serial;
    uint256 public moneyIn;
    uint256 public moneyOut;
    mapping(string name => uint256) public worked;
    string public broken;

    constructor() {
        vm.prank(_underwriter);
        escrow.setOperator(_operator, type(uint64).max);
        vm.prank(_underwriter);
        warranty.setOperatorCover(address(_nasty), type(uint256).max);
    }

    modifier onSome(uint256 seed, ClaimStatus wanted) {
        if (_pick(seed, wanted)) {
            uint256 before = _worth();
            _;
            uint256 paid = _worth() - before;
            _covers[_at].paid += paid;
            _note(_covers[_at].paid <= _covers[_at].cover, "payouts <= cover");
            moneyOut += paid;
            _note(isBacked(), "reserved = cover of open certificates <= bond; money in = money out + bond");
        }
    }

    function deposit(uint96 amount) external {
        if (amount == 0) return;
        _give(_underwriter, amount);
        bytes memory call = abi.encodeCall(warranty.deposit, (address(_nasty), amount));
        _note(_tried(_underwriter, call), "deposit");
        moneyIn += amount;
        ++worked["deposit"];
    }

    function withdrawBond(uint256 part, bool tooMuch) external {
        (uint256 bond, uint256 reserved) = warranty.bondOf(_underwriter, address(_nasty));
        uint256 amount = tooMuch ? bond - reserved + 1 : part % (bond - reserved + 1);
        bool may = !tooMuch && amount != 0;
        bytes memory call = abi.encodeCall(warranty.withdrawBond, (address(_nasty), amount));
        _note(_tried(_underwriter, call) == may, "withdrawBond");
        if (may) (moneyOut, worked["withdrawBond"]) = (moneyOut + amount, worked["withdrawBond"] + 1);
    }

    function register(uint256 part, uint32 term, bool byOperator, bool bought) external {
        if (_covers.length == MOST) return;
        (uint256 bond, uint256 reserved) = warranty.bondOf(_underwriter, address(_nasty));
        uint256 cover = 1 + part % (bond - reserved + 5);
        Certificate memory c = _certificate(cover, term);
        bool may = cover <= bond - reserved + (bought ? c.premium : 0);
        bool ok =
            bought ? _buy(c) : _tried(byOperator ? _operator : _underwriter, abi.encodeCall(warranty.register, (c)));
        _note(ok == may, "register");
        if (!ok) return;
        ++worked[bought ? "buy" : "register"];
        _covers.push(Cover(warranty.idOf(c), cover, 0, c.arbiter));
        _note(!_tried(_underwriter, abi.encodeCall(warranty.register, (c))), "registered twice");
    }

    function openClaim(uint256 seed, uint256 part, bool byHolder) external onSome(seed, ClaimStatus.Active) {
        (,,, uint256 left,,, uint40 endsAt) = warranty.certificateOf(_id());
        bool may = byHolder && block.timestamp <= endsAt;
        bytes memory call = abi.encodeCall(warranty.openClaim, (_id(), 1 + part % left, "e"));
        _step(byHolder ? _holder() : _other(), call, may, ClaimStatus.Claimed, "openClaim");
    }

    function acceptClaim(uint256 seed, uint8 status, bool byOperator) external onSome(seed, _claimed(status)) {
        address by = byOperator ? _operator : _underwriter;
        _step(by, abi.encodeCall(warranty.acceptClaim, (_id())), true, ClaimStatus.Active, "acceptClaim");
    }

    function offer(uint256 seed) external onSome(seed, ClaimStatus.Claimed) {
        _step(_underwriter, abi.encodeCall(warranty.offer, (_id(), "o")), _inTime(), ClaimStatus.Offered, "offer");
    }

    function acceptOffer(uint256 seed, bool byHolder) external onSome(seed, ClaimStatus.Offered) {
        bytes memory call = abi.encodeCall(warranty.acceptOffer, (_id()));
        _step(byHolder ? _holder() : _other(), call, byHolder, ClaimStatus.Active, "acceptOffer");
    }

    function lapseOffer(uint256 seed) external onSome(seed, ClaimStatus.Offered) {
        bytes memory call = abi.encodeCall(warranty.lapseOffer, (_id()));
        _step(address(0xBAD), call, !_inTime(), ClaimStatus.Active, "lapseOffer");
    }

    function contest(uint256 seed, bool offered)
        external
        onSome(seed, offered ? ClaimStatus.Offered : ClaimStatus.Claimed)
    {
        bytes memory call = abi.encodeCall(warranty.contest, (_id(), "e"));
        _step(offered ? _holder() : _underwriter, call, _inTime(), ClaimStatus.Contested, "contest");
    }

    function payUnanswered(uint256 seed, bool contested)
        external
        onSome(seed, contested ? ClaimStatus.Contested : ClaimStatus.Claimed)
    {
        bytes memory call = abi.encodeCall(warranty.payUnanswered, (_id()));
        _step(address(0xBAD), call, !_inTime(), ClaimStatus.Active, "payUnanswered");
    }

    function ruleClaim(uint256 seed, uint256 part, bool tooMuch) external onSome(seed, ClaimStatus.Contested) {
        (,,,, uint256 claimed,,) = warranty.certificateOf(_id());
        uint256 amount = tooMuch ? claimed + 1 : part % (claimed + 1);
        bytes memory call = abi.encodeCall(warranty.ruleClaim, (_id(), amount));
        _step(arbiter, call, _inTime() && !tooMuch, ClaimStatus.Active, "ruleClaim");
    }

    function expire(uint256 seed) external onSome(seed, ClaimStatus.Active) {
        (,,,,,, uint40 endsAt) = warranty.certificateOf(_id());
        bool may = block.timestamp > endsAt;
        _step(address(0xBAD), abi.encodeCall(warranty.expire, (_id())), may, ClaimStatus.Ended, "expire");
    }

    function surrender(uint256 seed, bool byHolder) external onSome(seed, ClaimStatus.Active) {
        if (seed % 4 != 0) return;
        bytes memory call = abi.encodeCall(warranty.surrender, (_id()));
        _step(byHolder ? _holder() : _underwriter, call, byHolder, ClaimStatus.Ended, "surrender");
    }

    /// Resale: never while a claim is open; the former holder then claims in vain (see `openClaim`).
    function resell(uint256 seed, uint8 status) external onSome(seed, ClaimStatus(1 + status % 4)) {
        (ClaimStatus before,,,,,,) = warranty.certificateOf(_id());
        address holder = _holder();
        bytes memory call = abi.encodeCall(warranty.transferFrom, (holder, _other(), _id()));
        _step(holder, call, before == ClaimStatus.Active, ClaimStatus.Active, "resell");
    }

    /// The token refuses a holder: its payout becomes a credit and nobody waits.
    function refuse(uint8 who, bool yes) external {
        _nasty.setBlocked(_holders[who % 2], yes);
    }

    function meddle(uint256 seed, uint8 status, uint8 what) external onSome(seed, ClaimStatus(1 + status % 4)) {
        bytes memory call = abi.encodeCall(warranty.acceptClaim, (_id()));
        if (what % 4 == 1) call = abi.encodeCall(warranty.offer, (_id(), "o"));
        if (what % 4 == 2) call = abi.encodeCall(warranty.contest, (_id(), "e"));
        if (what % 4 == 3) call = abi.encodeCall(warranty.ruleClaim, (_id(), 0));
        _step(address(0xBAD), call, false, ClaimStatus.None, "meddle");
    }

    function wait_(uint32 time) external {
        vm.warp(block.timestamp + (time % 4 days));
    }

    // ── the laws ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Reserved ≤ bond, reserved is what open certificates may still cost, and bond + credits is what is there.
    function isBacked() public view returns (bool) {
        (uint256 bond, uint256 reserved) = warranty.bondOf(_underwriter, address(_nasty));
        uint256 due;
        for (uint256 i = 0; i < _covers.length; ++i) {
            (,,, uint256 left,,,) = warranty.certificateOf(_covers[i].id);
            due += left;
        }
        uint256 there = _nasty.balanceOf(address(warranty));
        uint256 credited =
            warranty.credits(address(_nasty), _holders[0]) + warranty.credits(address(_nasty), _holders[1]);
        return reserved <= bond && reserved == due && there == bond + credited && moneyIn == moneyOut + bond;
    }

    /// From every state somebody alone goes on, until the bond is free again.
    function finishAll() external returns (bool) {
        for (_at = 0; _at < _covers.length; ++_at) {
            for (uint256 steps = 0; steps < 2 && _status() != ClaimStatus.Ended; ++steps) {
                (,,,,, uint40 deadline, uint40 endsAt) = warranty.certificateOf(_id());
                uint256 over = _status() == ClaimStatus.Active ? endsAt : deadline;
                if (block.timestamp <= over) vm.warp(over + 1);
                if (_status() == ClaimStatus.Active) warranty.expire(_id());
                else if (_status() == ClaimStatus.Offered) warranty.lapseOffer(_id());
                else warranty.payUnanswered(_id());
            }
            if (_status() != ClaimStatus.Ended) return false;
        }
        (, uint256 reserved) = warranty.bondOf(_underwriter, address(_nasty));
        return reserved == 0;
    }

    // ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    function _certificate(uint256 cover, uint32 term) private returns (Certificate memory) {
        return Certificate({
            underwriter: _underwriter,
            holder: _holders[term % 2],
            token: address(_nasty),
            cover: cover,
            premium: 1 + term % 100,
            startsAt: uint40(block.timestamp),
            endsAt: uint40(block.timestamp + 1 days + (term % 60 days)),
            respondWithin: 3 days,
            arbiter: arbiter,
            arbiterWithin: 7 days,
            orderId: bytes32(++_serial),
            itemHash: 0,
            serialHash: 0,
            termsHash: 0
        });
    }

    function _buy(Certificate memory c) private returns (bool ok) {
        bytes32 typeHash = keccak256("CertificateOffer(uint256 id,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, warranty.idOf(c), block.timestamp));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", warranty.DOMAIN_SEPARATOR(), structHash));
        bytes memory sig = signature(UNDERWRITER_KEY, digest);
        _give(buyer, c.premium);
        ok = _tried(buyer, abi.encodeCall(warranty.buy, (c, block.timestamp, sig)));
        if (ok) moneyIn += c.premium;
    }

    function _give(address to, uint256 amount) private {
        _nasty.mint(to, amount);
        vm.prank(to);
        _nasty.approve(address(warranty), type(uint256).max);
    }

    function _step(address by, bytes memory call, bool may, ClaimStatus next, string memory name) private {
        bool ok = _tried(by, call);
        _note(ok == may, name);
        if (!ok) return;
        ++worked[name];
        (ClaimStatus now_,,, uint256 left,,,) = warranty.certificateOf(_id());
        bool usedUp = next == ClaimStatus.Active && now_ == ClaimStatus.Ended && left == 0;
        _note(now_ == next || usedUp, string.concat(name, ": wrong state"));
    }

    function _tried(address by, bytes memory call) private returns (bool ok) {
        vm.prank(by);
        (ok,) = address(warranty).call(call);
    }

    /// What holders have, in their pockets and as credits.
    function _worth() private view returns (uint256 sum) {
        for (uint256 i = 0; i < 2; ++i) {
            sum += _nasty.balanceOf(_holders[i]) + warranty.credits(address(_nasty), _holders[i]);
        }
    }

    function _id() private view returns (uint256) {
        return _covers[_at].id;
    }

    function _holder() private view returns (address) {
        return warranty.ownerOf(_id());
    }

    function _other() private view returns (address) {
        return _holder() == _holders[0] ? _holders[1] : _holders[0];
    }

    function _status() private view returns (ClaimStatus status) {
        (status,,,,,,) = warranty.certificateOf(_id());
    }

    function _inTime() private view returns (bool) {
        (,,,,, uint40 deadline,) = warranty.certificateOf(_id());
        return block.timestamp <= deadline;
    }

    function _claimed(uint8 status) private pure returns (ClaimStatus) {
        return ClaimStatus(2 + status % 3);
    }

    /// Ended certificates make room for new ones.
    function _pick(uint256 seed, ClaimStatus wanted) private returns (bool) {
        for (uint256 i = _covers.length; i > 0; --i) {
            _at = i - 1;
            if (_status() != ClaimStatus.Ended) continue;
            _covers[_at] = _covers[_covers.length - 1];
            _covers.pop();
        }
        for (uint256 i = 0; i < _covers.length; ++i) {
            _at = (seed % _covers.length + i) % _covers.length;
            if (_status() == wanted) return true;
        }
        return false;
    }

    function _note(bool good, string memory law) private {
        if (!good && bytes(broken).length == 0) broken = law;
    }
}
