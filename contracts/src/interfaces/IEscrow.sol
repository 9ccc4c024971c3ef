// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The terms of one order. Field order and types are the EIP-712 type `Terms`.
/// @dev Terms travel in calldata: the contract keeps only their hash (as the order id) and one word of state.
struct Terms {
    /// Who delivers and is paid.
    address merchant;
    /// Who pays; zero makes a public offer that binds to whoever funds it.
    address buyer;
    /// ERC-20 token, zero for the chain's native coin.
    address token;
    /// Smallest units of `token`; 1 … 2^128-1.
    uint256 amount;
    /// May split a disputed order; zero for none (a dispute then ends at `defaultBuyerBps`).
    address arbiter;
    /// Takes over when `arbiter` stays silent; zero for none.
    address backupArbiter;
    /// Share of the disputed money for the arbiter who rules, in 1/10,000; at most 1,000.
    uint16 arbiterFeeBps;
    /// The buyer's share when nobody ruled, in 1/10,000.
    uint16 defaultBuyerBps;
    /// Last second at which the order may be funded (unix time).
    uint40 validUntil;
    /// Seconds the merchant has to accept an offer funded without a signature.
    uint32 acceptWithin;
    /// Seconds from acceptance to shipment.
    uint32 shipWithin;
    /// Seconds from shipment to delivery.
    uint32 deliverWithin;
    /// Seconds the buyer has to inspect what arrived.
    uint32 inspectWithin;
    /// Seconds each arbiter has to rule.
    uint32 arbiterWithin;
    /// The one carrier whose checkpoints prove delivery; zero for none.
    address carrier;
    /// keccak256 of the recipient's delivery code; zero for none.
    bytes32 deliveryCode;
    /// True: without proof of delivery the money goes back to the buyer.
    bool proofRequired;
    /// Hash of the order document, which holds 32 random bytes so that nobody can guess its content.
    bytes32 orderHash;
}

/// @notice Where an order stands.
enum Status {
    None,
    Offered,
    Accepted,
    Shipped,
    Delivered,
    Disputed,
    Escalated,
    Closed
}

/// @title Halle Escrow
/// @notice Holds the money of an order until it is delivered, given back, agreed or ruled.
///
/// Nobody owns this contract; it takes no fee and cannot be changed or paused. Laws:
///  1. Per token: money held + credits = money in − money out.
///  2. An order pays out exactly its amount, once.
///  3. From every state somebody acting alone can finish the order after a bounded time.
///  4. Nobody's refusal, blacklisting or silence keeps another's share.
///  5. No signature works twice, nor for another order, chain or contract.
///  6. An arbiter can only choose the split, and is paid only for ruling.
///
/// | from      | call                   | by                     | when             | to        |
/// |-----------|------------------------|------------------------|------------------|-----------|
/// | None      | fund…                  | anyone who pays        | ≤ validUntil     | Offered, or Accepted with the merchant's signature |
/// | Offered   | accept, acceptBySig    | merchant / anyone      | ≤ deadline       | Accepted  |
/// | Offered   | lapse                  | anyone                 | > deadline       | Closed    |
/// | Accepted  | ship                   | merchant               | ≤ deadline       | Shipped   |
/// | Accepted  | deliver (code)         | anyone with the code   | any time         | Delivered |
/// | Accepted  | reclaim                | anyone                 | > deadline       | Closed    |
/// | Shipped   | deliver, …ByCarrier    | anyone with the proof  | ≤ deadline; any time if proof is required | Delivered |
/// | Shipped   | claim                  | anyone                 | > deadline, proof not required | Closed |
/// | Shipped   | reclaim                | buyer                  | > deadline, proof required | Closed |
/// | Delivered | claim                  | anyone                 | > deadline       | Closed    |
/// | Accepted, Shipped, Delivered | dispute | buyer or merchant | ≤ deadline; merchant any time if Shipped and proof required | Disputed |
/// | Disputed  | rule                   | arbiter                | ≤ deadline       | Closed    |
/// | Disputed  | escalate               | anyone                 | > deadline, backup arbiter named | Escalated |
/// | Disputed  | closeByDefault         | anyone                 | > deadline, no backup arbiter | Closed |
/// | Escalated | rule                   | backup arbiter         | ≤ deadline       | Closed    |
/// | Escalated | closeByDefault         | anyone                 | > deadline       | Closed    |
/// | any but None, Offered, Closed | release, releaseBySig | buyer | any time   | same, or Closed when nothing is left |
/// | any but None, Closed | refund      | merchant               | any time         | same, or Closed when nothing is left |
/// | any but None, Closed | settle      | anyone with both consents | any time      | Closed    |
///
/// "merchant" in this table includes the merchant's operators (see `setOperator`).
/// Deadlines are unix seconds; a window is below 2^26 seconds (776 days). Windows are meant in hours and days, so a
/// validator's clock drift is harmless.
///
/// For all calls: terms or a buyer that nobody funded find no order and revert with `WrongStatus(None)`. Whatever pays out
/// emits `Paid`, `Closed` when nothing is left, and `Credited` for a push that failed. From inside a call
/// that takes money in, or `withdraw`, every call that moves money reverts with `Reentered`.
interface IEscrow {
    /// The order exists and its money is held. `accepted`: the merchant's signature came with it.
    event Funded(
        bytes32 indexed orderId,
        address indexed merchant,
        address indexed buyer,
        address token,
        uint256 amount,
        bool accepted,
        bytes32 orderHash
    );
    /// The merchant took the offer on, and has until `deadline` to ship.
    event Accepted(bytes32 indexed orderId, uint40 deadline);
    /// `deadline`: the end of the delivery window, plus the inspection window unless proof is required.
    event Shipped(bytes32 indexed orderId, bytes32 shipmentHash, uint40 deadline);
    /// Proven: by the named carrier, or by the recipient's code. The buyer has until `deadline` to inspect.
    event Delivered(bytes32 indexed orderId, uint40 deadline, bool byCarrier);
    /// Every payout, whether pushed or credited; smallest units of the order's token.
    event Paid(bytes32 indexed orderId, uint256 toBuyer, uint256 toMerchant, uint256 toArbiter);
    /// how: 1 Released 2 Claimed 3 Refunded 4 Settled 5 Lapsed 6 Reclaimed 7 Ruled 8 Defaulted.
    event Closed(bytes32 indexed orderId, uint8 how);
    /// The arbiter has until `deadline` to rule.
    event Disputed(bytes32 indexed orderId, address by, bytes32 evidence, uint40 deadline);
    /// The backup arbiter has until `deadline` to rule.
    event Escalated(bytes32 indexed orderId, uint40 deadline);
    /// `operator` acts for `merchant` up to the second `until`; 0 = not any more.
    event OperatorSet(address indexed merchant, address indexed operator, uint64 until);

    /// The order is not in a state that allows this call.
    error WrongStatus(Status status);
    /// The caller has no right to this call.
    error NotAuthorised(address caller);
    /// A signature is malformed, by somebody else, or for something else.
    error BadSignature();
    /// A field of the terms is out of its range; `field` is its name.
    error BadTerms(string field);
    /// The call opens after `opensAfter` (unix seconds).
    error TooEarly(uint256 opensAfter);
    /// The call closed at `closedAt` (unix seconds).
    error TooLate(uint256 closedAt);
    /// Zero, or more than the order still holds.
    error BadAmount(uint256 amount, uint256 held);
    /// Not the preimage of the order's delivery code.
    error WrongCode();
    /// The named carrier has not attested delivery of this order's shipment.
    error NotDelivered(bytes32 shipmentId);
    /// The nonce was used or is ahead.
    error BadNonce(uint256 expected);
    /// As many terms as buyers are needed.
    error LengthMismatch();

    /// @notice Open an order and pay for it.
    /// @param merchantSig the merchant's (or an operator's, or ERC-1271 account's) EIP-712 signature on the terms;
    /// empty makes an offer that the merchant accepts later or that lapses.
    /// @dev The caller pays. The buyer is `t.buyer`, or the caller when that is zero. Native coin: send exactly
    /// `t.amount`. A token that delivers another amount than `t.amount` is refused.
    /// Emits `Funded`. Reverts: `BadTerms`, `TooLate` after `validUntil`, `WrongStatus` when the order was funded
    /// before, `BadSignature` for a signature that is not the merchant's, `WrongPayment`, `Reentered`, and whatever
    /// the token reverts with.
    function fund(Terms calldata t, bytes calldata merchantSig) external payable returns (bytes32 orderId);

    /// @notice `fund` with an ERC-2612 permit of the caller, so that no separate approval is needed.
    /// @dev A permit that somebody else already submitted is no obstacle: the allowance decides.
    /// @dev Emits `Funded`. Reverts: as `fund`, and without a reason when the token has no code (the native coin has
    /// no permits).
    function fundWithPermit(
        Terms calldata t,
        bytes calldata merchantSig,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bytes32 orderId);

    /// @notice `fund` with money of `from`, who signed an ERC-3009 `ReceiveWithAuthorization`; anyone may relay.
    /// @dev The authorisation's nonce must be the order id, so it can fund no other order. The buyer is `t.buyer`,
    /// or `from` when that is zero. A relayer that withholds `merchantSig` only delays: see `acceptBySig`.
    /// Emits `Funded`. Reverts: as `fund`, and as the token for an authorisation that is used, early, late or not
    /// `from`'s.
    function fundWithAuthorization(
        Terms calldata t,
        bytes calldata merchantSig,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bytes32 orderId);

    /// @notice The merchant takes on an offer.
    /// @dev Emits `Accepted`. Reverts: `NotAuthorised`, `WrongStatus`, `TooLate`.
    function accept(Terms calldata t, address buyer) external;

    /// @notice Anyone shows the merchant's signature for an order that was funded as an offer.
    /// @dev Emits `Accepted`. Reverts: `BadSignature`, `WrongStatus`, `TooLate`.
    function acceptBySig(Terms calldata t, address buyer, bytes calldata merchantSig) external;

    /// @notice An offer that was not accepted in time goes back to the buyer.
    /// @dev Emits `Paid`, `Closed`. Reverts: `WrongStatus`, `TooEarly`.
    function lapse(Terms calldata t, address buyer) external;

    /// @notice The merchant says it has shipped.
    /// @param shipmentHash hash of the shipment document; `shipmentIdOf` derives the id carriers attest.
    /// @dev Emits `Shipped`. Reverts: `NotAuthorised`, `WrongStatus`, `TooLate`.
    function ship(Terms calldata t, address buyer, bytes32 shipmentHash) external;

    /// @notice Prove the hand-over by the code that only the recipient knew. The inspection window opens.
    /// @dev Emits `Delivered`. Reverts: `WrongCode` (also when the terms have none), `WrongStatus`, and `TooLate`
    /// when Shipped and proof is not required.
    function deliver(Terms calldata t, address buyer, bytes calldata code) external;

    /// @notice Prove delivery by the checkpoint of the carrier named in the terms. The inspection window opens.
    /// @param shipmentHash as given to `ship`; the carrier attested `shipmentIdOf(orderId, shipmentHash)`.
    /// @dev Emits `Delivered`. Reverts: `WrongStatus`, `TooLate` unless proof is required, `NotDelivered` (also when
    /// the terms name no carrier, or the newest checkpoint says another thing).
    function deliverByCarrier(Terms calldata t, address buyer, bytes32 shipmentHash) external;

    /// @notice Pay the merchant after the windows ended without a dispute. The normal end of an order.
    /// @dev Emits `Paid`, `Closed`. Reverts: `WrongStatus`, `TooEarly`.
    function claim(Terms calldata t, address buyer) external;

    /// @notice `claim` for many orders; orders that are not claimable (any more) are skipped.
    /// @dev Neighbours with the same merchant and token are paid in one transfer.
    /// Emits `Paid` and `Closed` for each order paid. Reverts: `LengthMismatch`.
    /// @return claimed how many orders were paid.
    function claimMany(Terms[] calldata ts, address[] calldata buyers) external returns (uint256 claimed);

    /// @notice The buyer pays the merchant, in part or whole.
    /// @dev Emits `Paid`, and `Closed` when nothing is left. Reverts: `NotAuthorised`, `WrongStatus` (Offered
    /// included: nothing is earned yet), `BadAmount`.
    function release(Terms calldata t, address buyer, uint256 amount) external;

    /// @notice `release` relayed by anyone.
    /// @param sig the buyer's signature on
    /// `Release(bytes32 orderId,uint256 amount,uint256 paidOut,uint256 deadline)`, `paidOut` as in `orders`.
    /// @dev Emits `Paid`, and `Closed` when nothing is left. Reverts: `TooLate` after `deadline`, `BadSignature`
    /// (also for a signature over another `paidOut`), `WrongStatus`, `BadAmount`.
    function releaseBySig(Terms calldata t, address buyer, uint256 amount, uint256 deadline, bytes calldata sig)
        external;

    /// @notice The merchant pays back the buyer, in part or whole; in `Offered` this declines the offer.
    /// @dev Emits `Paid`, and `Closed` when nothing is left. Reverts: `NotAuthorised`, `WrongStatus`, `BadAmount`.
    function refund(Terms calldata t, address buyer, uint256 amount) external;

    /// @notice Divide what is held as both sides agreed: `buyerShare` to the buyer, the rest to the merchant.
    /// @dev Both sign `Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)`; the caller's own signature
    /// may be left out.
    /// Emits `Paid`, `Closed`. Reverts: `WrongStatus`, `BadAmount` when `buyerShare` is more than is held,
    /// `BadSignature`.
    function settle(
        Terms calldata t,
        address buyer,
        uint256 buyerShare,
        bytes calldata buyerSig,
        bytes calldata merchantSig
    ) external;

    /// @notice The money goes back: the merchant did not ship in time, or a required proof of delivery is missing.
    /// @dev Emits `Paid`, `Closed`. Reverts: `WrongStatus`, `NotAuthorised` when the parcel is only unproved and the
    /// caller is not the buyer, `TooEarly`.
    function reclaim(Terms calldata t, address buyer) external;

    /// @notice Stop the clock and ask the arbiter.
    /// @param evidence hash of the evidence bundle.
    /// @dev Emits `Disputed`. Reverts: `NotAuthorised`, `WrongStatus`, `TooLate`.
    function dispute(Terms calldata t, address buyer, bytes32 evidence) external;

    /// @notice Hand a dispute from a silent arbiter to the backup arbiter.
    /// @dev Emits `Escalated`. Reverts: `WrongStatus`, `TooEarly`, `BadTerms` ("backupArbiter") when none is named.
    function escalate(Terms calldata t, address buyer) external;

    /// @notice The arbiter divides what is held: first the arbiter's fee, then `buyerBps`/10,000 to the buyer, the
    /// rest (with the rounding dust) to the merchant.
    /// @dev Emits `Paid`, `Closed`. Reverts: `BadAmount` above 10,000, `WrongStatus`, `NotAuthorised`, `TooLate`.
    function rule(Terms calldata t, address buyer, uint16 buyerBps) external;

    /// @notice Close a dispute that nobody ruled at the terms' `defaultBuyerBps`; no arbiter is paid.
    /// @dev Emits `Paid`, `Closed`. Reverts: `WrongStatus` (also while a backup arbiter may still be asked),
    /// `TooEarly`.
    function closeByDefault(Terms calldata t, address buyer) external;

    /// @notice Let `operator` act for the caller as a merchant until `until` (unix seconds; 0 revokes).
    /// @dev An operator signs terms and settlements, accepts, ships, refunds and disputes. It can never redirect
    /// money: payouts go to the merchant or the buyer of the order.
    /// Emits `OperatorSet`. Never reverts.
    function setOperator(address operator, uint64 until) external;

    /// @notice `setOperator` relayed by anyone.
    /// @param sig the merchant's signature on
    /// `SetOperator(address merchant,address operator,uint64 until,uint256 nonce,uint256 deadline)`.
    /// @dev Emits `OperatorSet`. Reverts: `TooLate` after `deadline`, `BadNonce`, `BadSignature`.
    function setOperatorBySig(
        address merchant,
        address operator,
        uint64 until,
        uint256 nonce,
        uint256 deadline,
        bytes calldata sig
    ) external;

    /// @notice Until when `operator` acts for `merchant` (unix seconds, 0 = never).
    function operatorUntil(address merchant, address operator) external view returns (uint64);

    /// @notice The nonce that the next `setOperatorBySig` of `merchant` must carry.
    function nonces(address merchant) external view returns (uint256);

    /// @notice Where an order stands, when its present window ends, and how much of it was paid out.
    /// @dev An order closed after its `validUntil` reads as None: its word is cleared for the gas refund, and it can
    /// never be funded again. The history is in the events.
    function orders(bytes32 orderId) external view returns (Status status, uint40 deadline, uint128 paidOut);

    /// @notice keccak256(abi.encode(digestOf(t), buyer)).
    function orderIdOf(Terms calldata t, address buyer) external view returns (bytes32);

    /// @notice The EIP-712 digest of the terms that a merchant signs.
    function digestOf(Terms calldata t) external view returns (bytes32);

    /// @notice keccak256(abi.encode(orderId, shipmentHash)): the id a carrier attests, bound to one order, so that
    /// another parcel's delivery proves nothing here.
    function shipmentIdOf(bytes32 orderId, bytes32 shipmentHash) external pure returns (bytes32);
}
