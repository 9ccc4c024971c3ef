// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Status, Terms} from "../src/interfaces/IEscrow.sol";
import {Hall} from "./Hall.sol";
import {vm} from "./Vm.sol";
import {NastyToken} from "./fixtures/NastyToken.sol";

/// Picks orders by their state, so that most calls do something, in three kinds of money and with parties that refuse
/// it. Says whether each call must work, and to which state it must lead. Notes a broken law in `broken`, as a failing
/// `assert` inside a handler would only look like a revert.
contract EscrowHandler is Hall {
    struct Order {
        Terms t;
        bytes32 id;
        uint256 paid;
    }

    uint256 private constant MOST_OPEN = 10;

    NastyToken private _nasty = new NastyToken();
    Order[] private _open;
    address[4] private _people;
    uint256 private _at;
    uint256 private _worthBefore;
    mapping(address money => uint256) public moneyIn;
    mapping(string name => uint256) public worked;
    uint256 public closed;
    string public broken;

    constructor() {
        _people = [merchant, buyer, arbiter, backup];
    }

    /// Runs the call on an order of that state, then checks what it did to the money of this order.
    modifier onSome(uint256 seed, Status wanted) {
        if (_pick(seed, wanted)) {
            _worthBefore = _worth(_t().token);
            _;
            _checkOrder();
        }
    }

    // ── what people do ──────────────────────────────────────────────────────────────────────────────────────────

    function fund(uint8 kind, uint96 amount, bool signed, bool proof, bool hasBackup) external {
        if (_open.length == MOST_OPEN) return;
        Terms memory t = newTerms(uint256(amount) + 1);
        t.token = [address(token), address(_nasty), address(0)][kind % 3];
        (t.proofRequired, t.backupArbiter) = (proof, hasBackup ? backup : address(0));
        if (t.token == address(_nasty)) _nasty.setBlocked(buyer, false);
        _supply(t);
        bytes memory call =
            abi.encodeCall(escrow.fund, (t, signed ? signature(MERCHANT_KEY, escrow.digestOf(t)) : bytes("")));
        vm.prank(buyer);
        (bool ok,) = address(escrow).call{value: t.token == address(0) ? t.amount : 0}(call);
        _note(ok, "fund");
        moneyIn[t.token] += t.amount;
        _open.push(Order(t, escrow.orderIdOf(t, buyer), 0));
        _note(statusOf(t) == (signed ? Status.Accepted : Status.Offered), "funded");
    }

    /// A word that is not None can never be funded again, whoever pays.
    function fundAgain(uint256 seed, uint8 status) external onSome(seed, _any(status)) {
        Terms memory t = _t();
        if (t.token == address(_nasty) && _nasty.blocked(buyer)) return;
        _supply(t);
        vm.prank(buyer);
        (bool ok,) =
            address(escrow).call{value: t.token == address(0) ? t.amount : 0}(abi.encodeCall(escrow.fund, (t, "")));
        _note(!ok, "funded twice");
        _burn(t);
    }

    function accept(uint256 seed) external onSome(seed, Status.Offered) {
        _step(merchant, abi.encodeCall(escrow.accept, (_t(), buyer)), _inTime(), Status.Accepted, "accept");
    }

    function acceptBySig(uint256 seed) external onSome(seed, Status.Offered) {
        bytes memory sig = signature(MERCHANT_KEY, escrow.digestOf(_t()));
        _step(
            address(this),
            abi.encodeCall(escrow.acceptBySig, (_t(), buyer, sig)),
            _inTime(),
            Status.Accepted,
            "acceptBySig"
        );
    }

    function lapse(uint256 seed) external onSome(seed, Status.Offered) {
        _step(address(this), abi.encodeCall(escrow.lapse, (_t(), buyer)), !_inTime(), Status.Closed, "lapse");
    }

    function ship(uint256 seed) external onSome(seed, Status.Accepted) {
        _step(merchant, abi.encodeCall(escrow.ship, (_t(), buyer, "p")), _inTime(), Status.Shipped, "ship");
    }

    function deliver(uint256 seed, bool shipped) external onSome(seed, shipped ? Status.Shipped : Status.Accepted) {
        bool may = !shipped || _t().proofRequired || _inTime();
        _step(address(this), abi.encodeCall(escrow.deliver, (_t(), buyer, CODE)), may, Status.Delivered, "deliver");
    }

    function deliverByCarrier(uint256 seed, bool attested) external onSome(seed, Status.Shipped) {
        bytes32 parcel = escrow.shipmentIdOf(_open[_at].id, attested ? bytes32("p") : bytes32("q"));
        vm.prank(carrier);
        tracking.attest(parcel, 6, uint40(block.timestamp), 0);
        bytes memory call = abi.encodeCall(escrow.deliverByCarrier, (_t(), buyer, "p"));
        bool may = attested && (_t().proofRequired || _inTime());
        _step(address(this), call, may, Status.Delivered, "deliverByCarrier");
    }

    function claim(uint256 seed, bool shipped) external onSome(seed, shipped ? Status.Shipped : Status.Delivered) {
        bool may = !_inTime() && !(shipped && _t().proofRequired);
        _step(address(this), abi.encodeCall(escrow.claim, (_t(), buyer)), may, Status.Closed, "claim");
    }

    /// Twice the same order and one that is not there: it is paid once, and only when due.
    function claimMany(uint256 seed, bool shipped) external onSome(seed, shipped ? Status.Shipped : Status.Delivered) {
        bool may = !_inTime() && !(shipped && _t().proofRequired);
        Terms[] memory ts = new Terms[](3);
        (ts[0], ts[1], ts[2]) = (_t(), _t(), newTerms(1));
        address[] memory buyers = new address[](3);
        (buyers[0], buyers[1], buyers[2]) = (buyer, buyer, buyer);
        uint256 claimed = escrow.claimMany(ts, buyers);
        _note(claimed == (may ? 1 : 0), "claimMany");
        if (may) ++worked["claimMany"];
    }

    function release(uint256 seed, uint8 status, uint256 part) external onSome(seed, _running(status)) {
        uint256 amount = 1 + part % _left(_at);
        Status next = amount == _left(_at) ? Status.Closed : statusOf(_t());
        _step(buyer, abi.encodeCall(escrow.release, (_t(), buyer, amount)), true, next, "release");
    }

    function releaseBySig(uint256 seed, uint8 status, uint256 part) external onSome(seed, _running(status)) {
        uint256 amount = 1 + part % _left(_at);
        Status next = amount == _left(_at) ? Status.Closed : statusOf(_t());
        bytes memory call =
            abi.encodeCall(escrow.releaseBySig, (_t(), buyer, amount, block.timestamp, _releaseSig(amount)));
        _step(address(this), call, true, next, "releaseBySig");
        (bool again,) = address(escrow).call(call);
        _note(!again, "a release worked twice");
    }

    function refund(uint256 seed, uint8 status, uint256 part) external onSome(seed, _any(status)) {
        uint256 amount = 1 + part % _left(_at);
        Status next = amount == _left(_at) ? Status.Closed : statusOf(_t());
        _step(merchant, abi.encodeCall(escrow.refund, (_t(), buyer, amount)), true, next, "refund");
    }

    function settle(uint256 seed, uint8 status, uint256 part, bool honest) external onSome(seed, _any(status)) {
        uint256 share = part % (_left(_at) + 1);
        bytes memory ofBuyer = _settlementSig(BUYER_KEY, share);
        bytes memory ofMerchant = _settlementSig(honest ? MERCHANT_KEY : BUYER_KEY, share);
        bytes memory call = abi.encodeCall(escrow.settle, (_t(), buyer, share, ofBuyer, ofMerchant));
        _step(address(this), call, honest, Status.Closed, "settle");
    }

    function reclaim(uint256 seed, bool shipped) external onSome(seed, shipped ? Status.Shipped : Status.Accepted) {
        bool may = !_inTime() && (!shipped || _t().proofRequired);
        address by = shipped ? buyer : address(this);
        _step(by, abi.encodeCall(escrow.reclaim, (_t(), buyer)), may, Status.Closed, "reclaim");
    }

    function dispute(uint256 seed, uint8 status, bool byBuyer) external onSome(seed, Status(2 + status % 3)) {
        bool unproved = !byBuyer && statusOf(_t()) == Status.Shipped && _t().proofRequired;
        bytes memory call = abi.encodeCall(escrow.dispute, (_t(), buyer, "e"));
        _step(byBuyer ? buyer : merchant, call, _inTime() || unproved, Status.Disputed, "dispute");
    }

    function escalate(uint256 seed) external onSome(seed, Status.Disputed) {
        bool may = !_inTime() && _t().backupArbiter != address(0);
        _step(address(this), abi.encodeCall(escrow.escalate, (_t(), buyer)), may, Status.Escalated, "escalate");
    }

    function rule(uint256 seed, bool escalated, uint16 bps)
        external
        onSome(seed, escalated ? Status.Escalated : Status.Disputed)
    {
        bytes memory call = abi.encodeCall(escrow.rule, (_t(), buyer, bps % 10_001));
        _step(escalated ? backup : arbiter, call, _inTime(), Status.Closed, "rule");
    }

    function closeByDefault(uint256 seed, bool escalated)
        external
        onSome(seed, escalated ? Status.Escalated : Status.Disputed)
    {
        bool may = !_inTime() && (escalated || _t().backupArbiter == address(0));
        _step(address(this), abi.encodeCall(escrow.closeByDefault, (_t(), buyer)), may, Status.Closed, "closeByDefault");
    }

    /// Calls by somebody with no part in the order: none may move it.
    function meddle(uint256 seed, uint8 status, uint8 what) external onSome(seed, _any(status)) {
        bytes memory call = abi.encodeCall(escrow.release, (_t(), buyer, 1));
        if (what % 6 == 1) call = abi.encodeCall(escrow.refund, (_t(), buyer, 1));
        if (what % 6 == 2) call = abi.encodeCall(escrow.ship, (_t(), buyer, "p"));
        if (what % 6 == 3) call = abi.encodeCall(escrow.dispute, (_t(), buyer, "e"));
        if (what % 6 == 4) call = abi.encodeCall(escrow.rule, (_t(), buyer, 0));
        if (what % 6 == 5) call = abi.encodeCall(escrow.accept, (_t(), buyer));
        _step(address(0xBAD), call, false, Status.None, "meddle");
    }

    /// A party's account refuses coins, and the token refuses the party; or both take it back.
    function refuse(uint8 who, bool yes) external {
        address person = _people[who % 4];
        _nasty.setBlocked(person, yes);
        vm.etch(person, yes ? bytes(hex"5f5ffd") : bytes(""));
    }

    function withdraw(uint8 who, uint8 kind) external {
        address person = _people[who % 4];
        address money = [address(token), address(_nasty), address(0)][kind % 3];
        uint256 credit = escrow.credits(money, person);
        uint256 before = _balance(money, address(0xCAFE));
        vm.prank(person);
        (bool ok,) = address(escrow).call(abi.encodeCall(escrow.withdraw, (money, address(0xCAFE))));
        _note(ok == (credit != 0), "withdraw");
        _note(_balance(money, address(0xCAFE)) - before == credit, "withdrawn");
        if (ok) ++worked["withdraw"];
    }

    function wait_(uint32 time) external {
        vm.warp(block.timestamp + (time % 9 days));
    }

    // ── the laws ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Money in = money out + held + credits, and what is there = what is owed.
    function isSolvent(address money) public view returns (bool) {
        uint256 held;
        for (uint256 i = 0; i < _open.length; ++i) {
            if (_open[i].t.token == money) held += _left(i);
        }
        uint256 credited;
        for (uint256 i = 0; i < 4; ++i) {
            credited += escrow.credits(money, _people[i]);
        }
        uint256 there = _balance(money, address(escrow));
        return there == held + credited && moneyIn[money] == _worth(money) + held;
    }

    function moneys() external view returns (address[3] memory) {
        return [address(token), address(_nasty), address(0)];
    }

    /// Somebody alone finishes every open order, three windows at most, whoever refuses money.
    function finishAll() external returns (bool) {
        while (_open.length != 0) {
            _at = _open.length - 1;
            _worthBefore = _worth(_t().token);
            for (uint256 steps = 0; steps < 3 && !_over(statusOf(_t())); ++steps) {
                vm.warp(uint256(deadlineOf(_t())) + 1);
                _finish();
            }
            if (!_over(statusOf(_t()))) return false;
            _checkOrder();
        }
        return true;
    }

    function _finish() private {
        Status s = statusOf(_t());
        if (s == Status.Offered) return escrow.lapse(_t(), buyer);
        if (s == Status.Accepted) return escrow.reclaim(_t(), buyer);
        if (s == Status.Disputed && _t().backupArbiter != address(0)) return escrow.escalate(_t(), buyer);
        if (s == Status.Disputed || s == Status.Escalated) return escrow.closeByDefault(_t(), buyer);
        if (s == Status.Delivered || !_t().proofRequired) return escrow.claim(_t(), buyer);
        vm.prank(buyer);
        escrow.reclaim(_t(), buyer);
    }

    // ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    function _step(address by, bytes memory call, bool may, Status next, string memory name) private {
        if (by != address(this)) vm.prank(by);
        (bool ok,) = address(escrow).call(call);
        _note(ok == may, name);
        if (!ok) return;
        ++worked[name];
        Status now_ = statusOf(_t());
        _note(now_ == next || (next == Status.Closed && _over(now_)), string.concat(name, ": wrong state"));
    }

    /// An order has always paid its amount less what it holds; closed, exactly its amount.
    function _checkOrder() private {
        Order storage o = _open[_at];
        o.paid += _worth(o.t.token) - _worthBefore;
        _note(o.paid + _left(_at) == o.t.amount, "paid + held = amount");
        _note(isSolvent(o.t.token), "money in = money out + held + credits");
        if (!_over(statusOf(o.t))) return;
        ++closed;
        _open[_at] = _open[_open.length - 1];
        _open.pop();
    }

    /// What the order's people have, in their pockets and as credits.
    function _worth(address money) private view returns (uint256 sum) {
        for (uint256 i = 0; i < 4; ++i) {
            sum += _balance(money, _people[i]) + escrow.credits(money, _people[i]);
        }
        sum += _balance(money, address(0xCAFE));
    }

    function _balance(address money, address of_) private view returns (uint256) {
        return money == address(0) ? of_.balance : NastyToken(money).balanceOf(of_);
    }

    function _supply(Terms memory t) private {
        if (t.token == address(0)) return vm.deal(buyer, buyer.balance + t.amount);
        NastyToken(t.token).mint(buyer, t.amount);
        vm.prank(buyer);
        NastyToken(t.token).approve(address(escrow), type(uint256).max);
    }

    /// Takes back what `_supply` gave for a call that had to fail.
    function _burn(Terms memory t) private {
        if (t.token == address(0)) return vm.deal(buyer, buyer.balance - t.amount);
        vm.prank(buyer);
        NastyToken(t.token).transfer(address(0xdead), t.amount);
    }

    function _t() private view returns (Terms memory) {
        return _open[_at].t;
    }

    function _inTime() private view returns (bool) {
        return block.timestamp <= deadlineOf(_t());
    }

    function _over(Status s) private pure returns (bool) {
        return s == Status.None || s == Status.Closed;
    }

    function _left(uint256 index) private view returns (uint256) {
        (Status s,, uint128 paidOut) = escrow.orders(_open[index].id);
        return _over(s) ? 0 : _open[index].t.amount - paidOut;
    }

    function _running(uint8 status) private pure returns (Status) {
        return Status(2 + status % 5);
    }

    function _any(uint8 status) private pure returns (Status) {
        return Status(1 + status % 6);
    }

    function _pick(uint256 seed, Status wanted) private returns (bool) {
        for (uint256 i = 0; i < _open.length; ++i) {
            _at = (seed % _open.length + i) % _open.length;
            (Status s,,) = escrow.orders(_open[_at].id);
            if (s == wanted) return true;
        }
        return false;
    }

    function _releaseSig(uint256 amount) private returns (bytes memory) {
        (,, uint128 paidOut) = escrow.orders(_open[_at].id);
        bytes32 typeHash = keccak256("Release(bytes32 orderId,uint256 amount,uint256 paidOut,uint256 deadline)");
        return
            signature(
                BUYER_KEY, typed(keccak256(abi.encode(typeHash, _open[_at].id, amount, paidOut, block.timestamp)))
            );
    }

    function _settlementSig(uint256 key, uint256 share) private returns (bytes memory) {
        (,, uint128 paidOut) = escrow.orders(_open[_at].id);
        bytes32 typeHash = keccak256("Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)");
        return signature(key, typed(keccak256(abi.encode(typeHash, _open[_at].id, share, paidOut))));
    }

    function _note(bool good, string memory law) private {
        if (!good && bytes(broken).length == 0) broken = law;
    }
}
