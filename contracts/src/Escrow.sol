// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {Operators} from "./Operators.sol";
import {OrderWord, orderWord} from "./OrderWord.sol";
import {RawTerms, raw} from "./RawTerms.sol";
import {Till} from "./Till.sol";
import {IDeliveryTracking} from "./interfaces/IDeliveryTracking.sol";
import {IEscrow, Status, Terms} from "./interfaces/IEscrow.sol";

/// @title Halle Escrow
/// @dev The interface is the manual. Each call rebuilds the order id from the terms in calldata, writes the order's
/// one word, and only then moves money. Calls that take money in are guarded against re-entrance, as they measure a
/// balance; calls that pay out are kept out of those, and push last. The others call nobody who could come back
/// (ERC-1271 checks and `tracking` are static calls).
contract Escrow is IEscrow, Till, Operators {
    // Deadlines are what these calls are about. Windows are hours and days: the seconds by which a validator can shift a
    // block decide nothing.
    // slither-disable-start timestamp

    bytes32 private constant TERMS_TYPEHASH = keccak256(
        "Terms(address merchant,address buyer,address token,uint256 amount,address arbiter,address backupArbiter,uint16 arbiterFeeBps,uint16 defaultBuyerBps,uint40 validUntil,uint32 acceptWithin,uint32 shipWithin,uint32 deliverWithin,uint32 inspectWithin,uint32 arbiterWithin,address carrier,bytes32 deliveryCode,bool proofRequired,bytes32 orderHash)"
    );
    bytes32 private constant RELEASE_TYPEHASH =
        keccak256("Release(bytes32 orderId,uint256 amount,uint256 paidOut,uint256 deadline)");
    bytes32 private constant SETTLEMENT_TYPEHASH =
        keccak256("Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)");

    /// Words of calldata that the terms take.
    uint256 private constant TERMS_SIZE = 18 * 32;
    uint256 private constant ALL_BPS = 10_000;
    uint256 private constant MAX_ARBITER_FEE_BPS = 1_000;
    /// Windows stay below 2^26 s (776 days): every order can be finished after a bounded time.
    uint256 private constant MAX_WINDOW_BITS = 26;
    uint8 private constant CARRIER_DELIVERED = 6;

    uint8 private constant RELEASED = 1;
    uint8 private constant CLAIMED = 2;
    uint8 private constant REFUNDED = 3;
    uint8 private constant SETTLED = 4;
    uint8 private constant LAPSED = 5;
    uint8 private constant RECLAIMED = 6;
    uint8 private constant RULED = 7;
    uint8 private constant DEFAULTED = 8;

    struct Authorization {
        address from;
        uint256 validAfter;
        uint256 validBefore;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice Where carriers' checkpoints are read.
    IDeliveryTracking public immutable tracking;

    mapping(bytes32 orderId => OrderWord) private _orders;

    constructor(IDeliveryTracking tracking_) {
        tracking = tracking_;
    }

    // ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IEscrow
    function fund(Terms calldata t, bytes calldata merchantSig)
        external
        payable
        nonReentrant
        returns (bytes32 orderId)
    {
        orderId = _open(t, msg.sender, merchantSig);
        _takeIn(raw(t).tokenOf(), msg.sender, t.amount);
    }

    /// @inheritdoc IEscrow
    function fundWithPermit(
        Terms calldata t,
        bytes calldata merchantSig,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (bytes32 orderId) {
        orderId = _open(t, msg.sender, merchantSig);
        // Whoever submits the permit first, the allowance stands: a failed permit is not the end.
        try IERC20Permit(t.token).permit(msg.sender, address(this), t.amount, deadline, v, r, s) {} catch {}
        _takeIn(t.token, msg.sender, t.amount);
    }

    /// @inheritdoc IEscrow
    function fundWithAuthorization(
        Terms calldata t,
        bytes calldata merchantSig,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (bytes32 orderId) {
        Authorization memory a = Authorization(from, validAfter, validBefore, v, r, s);
        orderId = _open(t, a.from, merchantSig);
        _takeAuthorised(t.token, t.amount, orderId, a);
    }

    function _open(Terms calldata t, address payer, bytes calldata merchantSig) private returns (bytes32 orderId) {
        RawTerms calldata r = raw(t);
        _checkTypes(r);
        address buyer = r.buyer == 0 ? payer : address(uint160(r.buyer));
        _checkTerms(r, buyer);
        bytes32 digest = digestOf(t);
        orderId = _orderId(digest, buyer);
        _requireStatus(orderId, Status.None);
        bool accepted = merchantSig.length != 0;
        if (accepted && !_isSignedForMerchant(r.merchantOf(), digest, merchantSig)) revert BadSignature();
        unchecked {
            // Windows are below 2^26.
            _orders[orderId] = accepted
                ? orderWord(Status.Accepted, block.timestamp + r.shipWithin, 0)
                : orderWord(Status.Offered, block.timestamp + r.acceptWithin, 0);
        }
        emit Funded(orderId, r.merchantOf(), buyer, r.tokenOf(), r.amount, accepted, t.orderHash);
    }

    /// @dev Every word fits its type (the windows and shares are checked with their limits): an order exists only for
    /// canonical calldata, which lets `digestOf` hash the raw words, and later calls read them raw.
    function _checkTypes(RawTerms calldata r) private pure {
        uint256 addresses = r.merchant | r.buyer | r.token | r.arbiter | r.backupArbiter | r.carrier;
        if (addresses >> 160 != 0) revert BadTerms("address");
        if (r.validUntil >> 40 != 0) revert BadTerms("validUntil");
        if (r.proofRequired > 1) revert BadTerms("proofRequired");
    }

    function _checkTerms(RawTerms calldata r, address buyer) private view {
        if (block.timestamp > r.validUntil) revert TooLate(r.validUntil);
        if (r.amount == 0 || r.amount > type(uint128).max) revert BadTerms("amount");
        _checkParties(r, buyer);
        if (r.arbiterFeeBps > MAX_ARBITER_FEE_BPS) revert BadTerms("arbiterFeeBps");
        if (r.defaultBuyerBps > ALL_BPS) revert BadTerms("defaultBuyerBps");
        uint256 windows = r.acceptWithin | r.shipWithin | r.deliverWithin | r.inspectWithin | r.arbiterWithin;
        if (windows >> MAX_WINDOW_BITS != 0) revert BadTerms("window");
        if (r.proofRequired != 0 && r.deliveryCode == 0 && r.carrier == 0) revert BadTerms("proofRequired");
    }

    function _checkParties(RawTerms calldata r, address buyer) private view {
        address merchant = r.merchantOf();
        if (merchant == address(0) || merchant == address(this)) revert BadTerms("merchant");
        if (buyer == address(0) || buyer == address(this) || buyer == merchant) revert BadTerms("buyer");
        address arbiter = r.arbiterOf();
        if (arbiter == buyer || arbiter == merchant || arbiter == address(this)) revert BadTerms("arbiter");
        arbiter = r.backupArbiterOf();
        if (arbiter == buyer || arbiter == merchant || arbiter == address(this)) revert BadTerms("backupArbiter");
    }

    function _takeAuthorised(address token, uint256 amount, bytes32 nonce, Authorization memory a) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC3009(token)
            .receiveWithAuthorization(a.from, address(this), amount, a.validAfter, a.validBefore, nonce, a.v, a.r, a.s);
        _checkReceived(token, before, amount);
    }

    /// @inheritdoc IEscrow
    function accept(Terms calldata t, address buyer) external {
        _requireMerchant(raw(t).merchantOf());
        _accept(raw(t), orderIdOf(t, buyer));
    }

    /// @inheritdoc IEscrow
    function acceptBySig(Terms calldata t, address buyer, bytes calldata merchantSig) external {
        bytes32 digest = digestOf(t);
        if (!_isSignedForMerchant(raw(t).merchantOf(), digest, merchantSig)) revert BadSignature();
        _accept(raw(t), _orderId(digest, buyer));
    }

    function _accept(RawTerms calldata t, bytes32 orderId) private {
        OrderWord w = _requireStatus(orderId, Status.Offered);
        _requireInTime(w);
        uint40 deadline = _advance(orderId, w, Status.Accepted, t.shipWithin);
        emit Accepted(orderId, deadline);
    }

    /// @inheritdoc IEscrow
    function lapse(Terms calldata t, address buyer) external paysLast {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _requireStatus(orderId, Status.Offered);
        _requireOver(w);
        _payOut(orderId, raw(t), buyer, w, _held(raw(t), w), 0, LAPSED);
    }

    // ── delivery ────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IEscrow
    function ship(Terms calldata t, address buyer, bytes32 shipmentHash) external {
        _requireMerchant(raw(t).merchantOf());
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _requireStatus(orderId, Status.Accepted);
        _requireInTime(w);
        uint256 window = raw(t).deliverWithin;
        unchecked {
            if (!raw(t).proofIsRequired()) window += raw(t).inspectWithin; // both are below 2^26
        }
        uint40 deadline = _advance(orderId, w, Status.Shipped, window);
        emit Shipped(orderId, shipmentHash, deadline);
    }

    /// @inheritdoc IEscrow
    function deliver(Terms calldata t, address buyer, bytes calldata code) external {
        if (t.deliveryCode == 0 || keccak256(code) != t.deliveryCode) revert WrongCode();
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        if (w.status() != Status.Accepted) _requireDeliverable(raw(t), w);
        _delivered(orderId, raw(t), w, false);
    }

    /// @inheritdoc IEscrow
    function deliverByCarrier(Terms calldata t, address buyer, bytes32 shipmentHash) external {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        _requireDeliverable(raw(t), w);
        bytes32 shipmentId = shipmentIdOf(orderId, shipmentHash);
        if (raw(t).carrierOf() == address(0)) revert NotDelivered(shipmentId);
        // slither-disable-next-line unused-return - only what the carrier said last proves anything
        (uint8 status,,) = tracking.latest(raw(t).carrierOf(), shipmentId);
        if (status != CARRIER_DELIVERED) revert NotDelivered(shipmentId);
        _delivered(orderId, raw(t), w, true);
    }

    function _requireDeliverable(RawTerms calldata t, OrderWord w) private view {
        _requireStatus(w, Status.Shipped);
        // Without required proof the deadline already pays the merchant; a late proof must not move it.
        if (!t.proofIsRequired()) _requireInTime(w);
    }

    function _delivered(bytes32 orderId, RawTerms calldata t, OrderWord w, bool byCarrier) private {
        uint40 deadline = _advance(orderId, w, Status.Delivered, t.inspectWithin);
        emit Delivered(orderId, deadline, byCarrier);
    }

    // ── ends without dispute ────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IEscrow
    function claim(Terms calldata t, address buyer) external paysLast {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        if (!_endsInClaim(raw(t), w)) revert WrongStatus(w.status());
        _requireOver(w);
        _payOut(orderId, raw(t), buyer, w, 0, _held(raw(t), w), CLAIMED);
    }

    /// @inheritdoc IEscrow
    function claimMany(Terms[] calldata ts, address[] calldata buyers) external paysLast returns (uint256 claimed) {
        if (ts.length != buyers.length) revert LengthMismatch();
        uint256 sum = 0;
        for (uint256 i = 0; i < ts.length; ++i) {
            Terms calldata t = ts[i];
            uint256 amount = _claimQuietly(t, buyers[i]);
            if (amount != 0) ++claimed;
            sum += amount;
            if (i + 1 == ts.length || ts[i + 1].merchant != t.merchant || ts[i + 1].token != t.token) {
                _pay(t.token, t.merchant, sum);
                sum = 0;
            }
        }
    }

    /// @dev Closes a claimable order and returns what is due to its merchant; returns 0 for any other.
    function _claimQuietly(Terms calldata t, address buyer) private returns (uint256 amount) {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        if (!_endsInClaim(raw(t), w) || block.timestamp <= w.deadline()) return 0;
        amount = _held(raw(t), w);
        emit Paid(orderId, 0, amount, 0);
        _close(orderId, raw(t), CLAIMED);
    }

    function _endsInClaim(RawTerms calldata t, OrderWord w) private pure returns (bool) {
        Status status = w.status();
        return status == Status.Delivered || (status == Status.Shipped && !t.proofIsRequired());
    }

    /// @inheritdoc IEscrow
    function release(Terms calldata t, address buyer, uint256 amount) external paysLast {
        if (msg.sender != buyer) revert NotAuthorised(msg.sender);
        bytes32 orderId = orderIdOf(t, buyer);
        _release(orderId, raw(t), buyer, _orders[orderId], amount);
    }

    /// @inheritdoc IEscrow
    function releaseBySig(Terms calldata t, address buyer, uint256 amount, uint256 deadline, bytes calldata sig)
        external
        paysLast
    {
        if (block.timestamp > deadline) revert TooLate(deadline);
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        bytes32 structHash = keccak256(abi.encode(RELEASE_TYPEHASH, orderId, amount, w.paidOut(), deadline));
        if (!_isSignedBy(buyer, _typedDigest(structHash), sig)) revert BadSignature();
        _release(orderId, raw(t), buyer, w, amount);
    }

    function _release(bytes32 orderId, RawTerms calldata t, address buyer, OrderWord w, uint256 amount) private {
        // Whoever has not accepted the order has earned nothing yet.
        if (!w.isRunning()) revert WrongStatus(w.status());
        uint256 held = _held(t, w);
        if (amount == 0 || amount > held) revert BadAmount(amount, held);
        _payOut(orderId, t, buyer, w, 0, amount, RELEASED);
    }

    /// @inheritdoc IEscrow
    function refund(Terms calldata t, address buyer, uint256 amount) external paysLast {
        _requireMerchant(raw(t).merchantOf());
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        _requireOpen(w);
        uint256 held = _held(raw(t), w);
        if (amount == 0 || amount > held) revert BadAmount(amount, held);
        _payOut(orderId, raw(t), buyer, w, amount, 0, REFUNDED);
    }

    /// @inheritdoc IEscrow
    function settle(
        Terms calldata t,
        address buyer,
        uint256 buyerShare,
        bytes calldata buyerSig,
        bytes calldata merchantSig
    ) external paysLast {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        _requireOpen(w);
        uint256 held = _held(raw(t), w);
        if (buyerShare > held) revert BadAmount(buyerShare, held);
        bytes32 digest = _settlementDigest(orderId, buyerShare, w.paidOut());
        if (msg.sender != buyer && !_isSignedBy(buyer, digest, buyerSig)) revert BadSignature();
        if (
            !_actsFor(raw(t).merchantOf(), msg.sender)
                && !_isSignedForMerchant(raw(t).merchantOf(), digest, merchantSig)
        ) {
            revert BadSignature();
        }
        _payOut(orderId, raw(t), buyer, w, buyerShare, held - buyerShare, SETTLED);
    }

    function _settlementDigest(bytes32 orderId, uint256 buyerShare, uint256 paidOut) private view returns (bytes32) {
        return _typedDigest(keccak256(abi.encode(SETTLEMENT_TYPEHASH, orderId, buyerShare, paidOut)));
    }

    /// @inheritdoc IEscrow
    function reclaim(Terms calldata t, address buyer) external paysLast {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        Status status = w.status();
        bool unproved = status == Status.Shipped && raw(t).proofIsRequired();
        if (status != Status.Accepted && !unproved) revert WrongStatus(status);
        // Not shipped: nothing can change any more. Not proved: the buyer may still wait for the parcel.
        if (unproved && msg.sender != buyer) revert NotAuthorised(msg.sender);
        _requireOver(w);
        _payOut(orderId, raw(t), buyer, w, _held(raw(t), w), 0, RECLAIMED);
    }

    // ── disputes ────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IEscrow
    function dispute(Terms calldata t, address buyer, bytes32 evidence) external {
        bool byBuyer = msg.sender == buyer;
        if (!byBuyer) _requireMerchant(raw(t).merchantOf());
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        Status status = w.status();
        if (status < Status.Accepted || status > Status.Delivered) revert WrongStatus(status);
        // A merchant whose parcel arrived without proof may come first, until the buyer reclaims.
        bool unproved = !byBuyer && status == Status.Shipped && raw(t).proofIsRequired();
        if (!unproved) _requireInTime(w);
        uint40 deadline = _advance(orderId, w, Status.Disputed, raw(t).arbiterWithin);
        emit Disputed(orderId, msg.sender, evidence, deadline);
    }

    /// @inheritdoc IEscrow
    function escalate(Terms calldata t, address buyer) external {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _requireStatus(orderId, Status.Disputed);
        _requireOver(w);
        if (raw(t).backupArbiterOf() == address(0)) revert BadTerms("backupArbiter");
        uint40 deadline = _advance(orderId, w, Status.Escalated, raw(t).arbiterWithin);
        emit Escalated(orderId, deadline);
    }

    /// @inheritdoc IEscrow
    function rule(Terms calldata t, address buyer, uint16 buyerBps) external paysLast {
        if (buyerBps > ALL_BPS) revert BadAmount(buyerBps, ALL_BPS);
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        Status status = w.status();
        if (status != Status.Disputed && status != Status.Escalated) revert WrongStatus(status);
        if (msg.sender != (status == Status.Disputed ? raw(t).arbiterOf() : raw(t).backupArbiterOf())) {
            revert NotAuthorised(msg.sender);
        }
        _requireInTime(w);
        uint256 held = _held(raw(t), w);
        uint256 fee = (held * raw(t).arbiterFeeBps) / ALL_BPS;
        uint256 toBuyer = ((held - fee) * buyerBps) / ALL_BPS;
        emit Paid(orderId, toBuyer, held - fee - toBuyer, fee);
        _close(orderId, raw(t), RULED);
        _pay(raw(t).tokenOf(), msg.sender, fee);
        _pay(raw(t).tokenOf(), buyer, toBuyer);
        _pay(raw(t).tokenOf(), raw(t).merchantOf(), held - fee - toBuyer);
    }

    /// @inheritdoc IEscrow
    function closeByDefault(Terms calldata t, address buyer) external paysLast {
        bytes32 orderId = orderIdOf(t, buyer);
        OrderWord w = _orders[orderId];
        Status status = w.status();
        bool last = status == Status.Escalated || (status == Status.Disputed && raw(t).backupArbiterOf() == address(0));
        if (!last) revert WrongStatus(status);
        _requireOver(w);
        uint256 held = _held(raw(t), w);
        uint256 toBuyer = (held * raw(t).defaultBuyerBps) / ALL_BPS;
        _payOut(orderId, raw(t), buyer, w, toBuyer, held - toBuyer, DEFAULTED);
    }

    // ── the order's word ────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IEscrow
    function orders(bytes32 orderId) external view returns (Status status, uint40 deadline, uint128 paidOut) {
        OrderWord w = _orders[orderId];
        return (w.status(), w.deadline(), w.paidOut());
    }

    /// @dev Moves the order to its next state, whose window starts now.
    function _advance(bytes32 orderId, OrderWord w, Status status, uint256 window) private returns (uint40 deadline) {
        unchecked {
            deadline = uint40(block.timestamp + window); // windows are below 2^26 each
        }
        _orders[orderId] = orderWord(status, deadline, w.paidOut());
    }

    /// @dev Pays `toBuyer` and `toMerchant`, at most what is held; the order closes when nothing is left.
    function _payOut(
        bytes32 orderId,
        RawTerms calldata t,
        address buyer,
        OrderWord w,
        uint256 toBuyer,
        uint256 toMerchant,
        uint8 how
    ) private {
        uint256 paid;
        unchecked {
            paid = w.paidOut() + toBuyer + toMerchant; // at most `t.amount`, which is below 2^128
        }
        emit Paid(orderId, toBuyer, toMerchant, 0);
        if (paid == t.amount) _close(orderId, t, how);
        else _orders[orderId] = orderWord(w.status(), w.deadline(), paid);
        if (toBuyer != 0) _pay(t.tokenOf(), buyer, toBuyer);
        _pay(t.tokenOf(), t.merchantOf(), toMerchant);
    }

    /// @dev Past `validUntil` nobody can fund these terms again, so the word may go (and the gas comes back).
    function _close(bytes32 orderId, RawTerms calldata t, uint8 how) private {
        _orders[orderId] =
            block.timestamp > t.validUntil ? OrderWord.wrap(0) : orderWord(Status.Closed, block.timestamp, t.amount);
        emit Closed(orderId, how);
    }

    function _held(RawTerms calldata t, OrderWord w) private pure returns (uint256) {
        unchecked {
            return t.amount - w.paidOut(); // no order pays out more than its amount
        }
    }

    function _requireOpen(OrderWord w) private pure {
        if (w.status() != Status.Offered && !w.isRunning()) revert WrongStatus(w.status());
    }

    function _requireStatus(bytes32 orderId, Status status) private view returns (OrderWord w) {
        w = _orders[orderId];
        _requireStatus(w, status);
    }

    function _requireStatus(OrderWord w, Status status) private pure {
        if (w.status() != status) revert WrongStatus(w.status());
    }

    function _requireInTime(OrderWord w) private view {
        if (block.timestamp > w.deadline()) revert TooLate(w.deadline());
    }

    function _requireOver(OrderWord w) private view {
        if (block.timestamp <= w.deadline()) revert TooEarly(w.deadline());
    }

    // ── identity ────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IEscrow
    function orderIdOf(Terms calldata t, address buyer) public view returns (bytes32) {
        return _orderId(digestOf(t), buyer);
    }

    /// @inheritdoc IEscrow
    function digestOf(Terms calldata t) public view returns (bytes32) {
        bytes32 typeHash = TERMS_TYPEHASH;
        bytes32 structHash;
        // All fields are static, so their calldata is their EIP-712 encoding; `_checkTypes` and `_checkTerms` refuse dirty
        // words..
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let p := mload(0x40)
            mstore(p, typeHash)
            calldatacopy(add(p, 0x20), t, TERMS_SIZE)
            structHash := keccak256(p, add(TERMS_SIZE, 0x20))
        }
        return _typedDigest(structHash);
    }

    /// @inheritdoc IEscrow
    function shipmentIdOf(bytes32 orderId, bytes32 shipmentHash) public pure returns (bytes32) {
        return keccak256(abi.encode(orderId, shipmentHash));
    }

    function _orderId(bytes32 digest, address buyer) private pure returns (bytes32 orderId) {
        // Two words in the scratch space, which `abi.encode` would not use.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            mstore(0, digest)
            mstore(0x20, buyer)
            orderId := keccak256(0, 0x40)
        }
    }

    function _domainName() internal pure override returns (string memory) {
        return "Halle Escrow";
    }

    function _domainNameHash() internal pure override returns (bytes32) {
        return keccak256("Halle Escrow");
    }

    // slither-disable-end timestamp
}
