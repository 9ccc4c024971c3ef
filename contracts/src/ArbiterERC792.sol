// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Till} from "./Till.sol";
import {IArbitrable, IArbitrator} from "./interfaces/IERC792.sol";
import {IEvidence} from "./interfaces/IERC1497.sol";
import {IEscrow, Status, Terms} from "./interfaces/IEscrow.sol";

/// @title A court of jurors as the arbiter of an order
/// @notice Name this contract as `arbiter` or `backupArbiter` in the terms, and any ERC-792 court decides.
///
/// | call           | by     | when                             | what                                            |
/// |----------------|--------|----------------------------------|-------------------------------------------------|
/// | ask            | anyone | the order waits for this arbiter | pays the court's fee, once per order and stage  |
/// | submitEvidence | anyone | asked, not ruled                 | an ERC-1497 `Evidence` event                    |
/// | rule           | court  | asked, not ruled                 | keeps the ruling                                |
/// | execute        | anyone | ruled                            | rules the escrow; its fee is a credit of the one who paid the court |
///
/// Rulings: 0 refuses to decide and 3 says half each; 1 gives all to the buyer, 2 all to the merchant. A court that is
/// slower than `arbiterWithin` loses the case to the backup arbiter or the default split, as any arbiter.
/// @dev The court cannot call the escrow itself, as it does not know the terms: whoever does calls `execute`.
/// Ownerless; one court and one extra data (court, jurors) per deployment.
contract ArbiterERC792 is Till, IArbitrable, IEvidence {
    uint256 public constant CHOICES = 3;
    uint16 private constant ALL_BPS = 10_000;

    struct Case {
        bytes32 orderId;
        address payer;
        bool ruled;
        bool executed;
        uint16 buyerBps;
    }

    /// The order already has a case at this stage.
    error AlreadyAsked(uint256 disputeId);
    /// The order does not wait for this arbiter.
    error NotDue(Status status);
    /// The court did not give this ruling, or gave it before.
    error NotRuling();
    /// The terms and the buyer are not those of the case.
    error WrongOrder(bytes32 orderId);

    /// `payer` paid the court's fee for dispute `disputeId`.
    event Asked(bytes32 indexed orderId, uint256 indexed disputeId, address payer);
    /// The court ruled; `buyerBps`/10,000 of the money, less the fee, will go to the buyer.
    event Decided(bytes32 indexed orderId, uint256 indexed disputeId, uint16 buyerBps);
    /// The ruling was carried out in the escrow.
    event Executed(bytes32 indexed orderId, uint256 indexed disputeId);

    IEscrow public immutable escrow;
    IArbitrator public immutable court;
    bytes public courtExtraData;

    mapping(uint256 disputeId => Case) public cases;
    /// @notice One more than the dispute's id; zero = not asked.
    mapping(bytes32 orderId => mapping(Status stage => uint256)) public askedPlusOne;

    constructor(IEscrow escrow_, IArbitrator court_, bytes memory extraData, string memory metaEvidence) {
        (escrow, court, courtExtraData) = (escrow_, court_, extraData);
        emit MetaEvidence(0, metaEvidence);
    }

    // Both calls are guarded, and what they write depends on what the other contract answers.
    // slither-disable-start reentrancy-eth,reentrancy-benign

    /// @notice Bring a disputed order before the court. Send `court.arbitrationCost` (wei); what is over comes back.
    /// @dev Emits `Asked`, ERC-1497 `Dispute`. Reverts: `NotDue`, `AlreadyAsked`, `WrongPayment`, `Reentered`, and whatever
    /// the court reverts with.
    function ask(Terms calldata t, address buyer) external payable nonReentrant returns (uint256 disputeId) {
        bytes32 orderId = escrow.orderIdOf(t, buyer);
        // slither-disable-next-line unused-return - the deadline is the escrow's to enforce, when it is ruled
        (Status stage,,) = escrow.orders(orderId);
        bool due = (stage == Status.Disputed && t.arbiter == address(this))
            || (stage == Status.Escalated && t.backupArbiter == address(this));
        if (!due) revert NotDue(stage);
        uint256 before = askedPlusOne[orderId][stage];
        if (before != 0) revert AlreadyAsked(before - 1);
        uint256 cost = court.arbitrationCost(courtExtraData);
        if (msg.value < cost) revert WrongPayment(cost, msg.value);
        disputeId = court.createDispute{value: cost}(CHOICES, courtExtraData);
        askedPlusOne[orderId][stage] = disputeId + 1;
        cases[disputeId] = Case(orderId, msg.sender, false, false, 0);
        emit Dispute(court, disputeId, 0, uint256(orderId));
        emit Asked(orderId, disputeId, msg.sender);
        _pay(address(0), msg.sender, msg.value - cost);
    }

    /// @notice Lay evidence before the jurors. @param evidence a URI of ERC-1497 evidence JSON.
    /// @dev Emits `Evidence`. Reverts: `NotRuling` when there is no such case, or it is decided.
    function submitEvidence(uint256 disputeId, string calldata evidence) external {
        Case storage c = cases[disputeId];
        if (c.payer == address(0) || c.ruled) revert NotRuling();
        emit Evidence(court, uint256(c.orderId), msg.sender, evidence);
    }

    /// @inheritdoc IArbitrable
    /// @dev Emits `Ruling`, `Decided`. Reverts: `NotRuling` for any caller but the court, an unknown or decided case, or a
    /// ruling above `CHOICES`.
    function rule(uint256 disputeId, uint256 ruling) external {
        Case storage c = cases[disputeId];
        if (msg.sender != address(court) || c.payer == address(0) || c.ruled || ruling > CHOICES) revert NotRuling();
        c.ruled = true;
        c.buyerBps = ruling == 1 ? ALL_BPS : ruling == 2 ? 0 : ALL_BPS / 2;
        emit Ruling(court, disputeId, ruling);
        emit Decided(c.orderId, disputeId, c.buyerBps);
    }

    /// @notice Carry a ruling out. The escrow pays this contract its fee, which goes on to who paid the court.
    /// @dev Emits `Executed`, `Credited`. Reverts: `NotRuling` when undecided or done, `WrongOrder`, and as `escrow.rule`,
    /// for example after the arbiter's window. The guard keeps the fee's measure whole.
    function execute(uint256 disputeId, Terms calldata t, address buyer) external nonReentrant {
        Case storage c = cases[disputeId];
        if (!c.ruled || c.executed) revert NotRuling();
        if (escrow.orderIdOf(t, buyer) != c.orderId) revert WrongOrder(c.orderId);
        c.executed = true;
        emit Executed(c.orderId, disputeId);
        uint256 before = _balance(t.token);
        escrow.rule(t, buyer, c.buyerBps);
        uint256 fee = _balance(t.token) - before;
        credits[t.token][c.payer] += fee;
        emit Credited(t.token, c.payer, fee);
    }

    // slither-disable-end reentrancy-eth,reentrancy-benign

    /// @notice Coins come from the escrow (a fee in coins) and from a court that gives change.
    receive() external payable {
        if (msg.sender != address(escrow) && msg.sender != address(court)) revert PushFailed();
    }

    function _balance(address token) private view returns (uint256) {
        return token == address(0) ? address(this).balance : IERC20(token).balanceOf(address(this));
    }
}
