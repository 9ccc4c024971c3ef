// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Bonds} from "./Bonds.sol";
import {Signed} from "./Signed.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {Certificate, ClaimStatus, IWarranty} from "./interfaces/IWarranty.sol";

/// @title Halle Warranty
/// @dev The interface is the manual. A token is never burned: an ended certificate stays as a record.
contract Warranty is IWarranty, IERC4906, Bonds, Signed, ERC721 {
    // Deadlines are what these calls are about. Windows are hours and days: the seconds by which a validator can shift a
    // block decide nothing.
    // slither-disable-start timestamp

    /// ERC-4906 has events only, so that its id is not that of a Solidity interface.
    bytes4 private constant METADATA_UPDATES = 0x49064906;
    bytes32 private constant OFFER_TYPEHASH = keccak256("CertificateOffer(uint256 id,uint256 deadline)");
    uint256 private constant MAX_WINDOW = 730 days;

    struct Policy {
        address underwriter;
        uint40 startsAt;
        uint40 endsAt;
        ClaimStatus status;
        address token;
        uint40 deadline;
        uint32 claimNo;
        address arbiter;
        uint32 respondWithin;
        uint32 arbiterWithin;
        uint128 coverLeft;
        uint128 claimed;
        bytes32 termsHash;
    }

    /// @notice Where the underwriters' operators are read.
    IEscrow public immutable escrow;

    mapping(uint256 id => Policy) private _policies;

    constructor(IEscrow escrow_) ERC721("Halle Warranty", "HALLEW") {
        escrow = escrow_;
    }

    // ── issuing ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IWarranty
    function register(Certificate calldata c) external nonReentrant returns (uint256 id) {
        _requireCommitting(c.underwriter, c.token, c.cover);
        id = idOf(c);
        _register(c, id);
    }

    /// @inheritdoc IWarranty
    function buy(Certificate calldata c, uint256 deadline, bytes calldata sig)
        external
        payable
        nonReentrant
        returns (uint256 id)
    {
        if (block.timestamp > deadline) revert TooLate(deadline);
        id = idOf(c);
        bytes32 digest = _typedDigest(keccak256(abi.encode(OFFER_TYPEHASH, id, deadline)));
        if (!_isSignedBy(c.underwriter, digest, sig)) revert BadSignature();
        _addBond(c.underwriter, c.token, c.premium);
        _register(c, id);
        _takeIn(c.token, msg.sender, c.premium);
    }

    function _register(Certificate calldata c, uint256 id) private {
        _checkCertificate(c);
        Policy storage p = _policies[id];
        if (p.status != ClaimStatus.None) revert WrongClaimStatus(p.status);
        p.status = ClaimStatus.Active;
        (p.underwriter, p.token, p.arbiter) = (c.underwriter, c.token, c.arbiter);
        (p.startsAt, p.endsAt) = (c.startsAt, c.endsAt);
        (p.respondWithin, p.arbiterWithin) = (c.respondWithin, c.arbiterWithin);
        (p.coverLeft, p.termsHash) = (uint128(c.cover), c.termsHash);
        _reserve(c.underwriter, c.token, c.cover);
        _mint(c.holder, id);
        emit Registered(id, c.underwriter, c.holder, c.orderId, c.cover, c.endsAt);
    }

    function _checkCertificate(Certificate calldata c) private view {
        if (c.underwriter == address(0)) revert BadCertificate("underwriter");
        if (c.holder == address(0) || c.holder == c.underwriter) revert BadCertificate("holder");
        if (c.arbiter == c.underwriter || c.arbiter == c.holder) revert BadCertificate("arbiter");
        if (c.cover == 0 || c.cover > type(uint128).max) revert BadCertificate("cover");
        if (c.endsAt <= c.startsAt || c.endsAt < block.timestamp) revert BadCertificate("endsAt");
        if (c.respondWithin == 0 || c.respondWithin > MAX_WINDOW) revert BadCertificate("respondWithin");
        if (c.arbiterWithin > MAX_WINDOW) revert BadCertificate("arbiterWithin");
    }

    // ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IWarranty
    function openClaim(uint256 id, uint256 amount, bytes32 evidence) external nonReentrant {
        Policy storage p = _policies[id];
        _requireStatus(p, ClaimStatus.Active);
        _requireHolder(id);
        if (block.timestamp < p.startsAt) revert TooEarly(p.startsAt);
        if (block.timestamp > p.endsAt) revert TooLate(p.endsAt);
        if (amount == 0 || amount > p.coverLeft) revert BadAmount(amount, p.coverLeft);
        p.claimed = uint128(amount);
        p.claimNo += 1;
        _await(id, p, ClaimStatus.Claimed, p.respondWithin);
        emit ClaimOpened(id, p.claimNo, amount, evidence, p.deadline);
    }

    /// @inheritdoc IWarranty
    function acceptClaim(uint256 id) external nonReentrant {
        Policy storage p = _policies[id];
        if (p.status < ClaimStatus.Claimed || p.status > ClaimStatus.Contested) revert WrongClaimStatus(p.status);
        _requireCommitting(p.underwriter, p.token, p.claimed);
        emit ClaimAccepted(id);
        _payClaim(id, p, p.claimed);
    }

    /// @inheritdoc IWarranty
    function offer(uint256 id, bytes32 offerHash) external nonReentrant {
        Policy storage p = _policies[id];
        _requireStatus(p, ClaimStatus.Claimed);
        _requireUnderwriter(p.underwriter);
        _requireInTime(p);
        _await(id, p, ClaimStatus.Offered, p.respondWithin);
        emit OfferMade(id, offerHash, p.deadline);
    }

    /// @inheritdoc IWarranty
    function acceptOffer(uint256 id) external nonReentrant {
        Policy storage p = _policies[id];
        _requireStatus(p, ClaimStatus.Offered);
        _requireHolder(id);
        _settle(id, p);
        emit OfferAccepted(id);
    }

    /// @inheritdoc IWarranty
    function lapseOffer(uint256 id) external nonReentrant {
        Policy storage p = _policies[id];
        _requireStatus(p, ClaimStatus.Offered);
        _requireOver(p);
        _settle(id, p);
        emit OfferLapsed(id);
    }

    /// @inheritdoc IWarranty
    function contest(uint256 id, bytes32 evidence) external nonReentrant {
        Policy storage p = _policies[id];
        if (p.status == ClaimStatus.Offered) _requireHolder(id);
        else if (p.status == ClaimStatus.Claimed) _requireUnderwriter(p.underwriter);
        else revert WrongClaimStatus(p.status);
        _requireInTime(p);
        _await(id, p, ClaimStatus.Contested, p.arbiterWithin);
        emit ClaimContested(id, msg.sender, evidence, p.deadline);
    }

    /// @inheritdoc IWarranty
    function payUnanswered(uint256 id) external nonReentrant {
        Policy storage p = _policies[id];
        if (p.status != ClaimStatus.Claimed && p.status != ClaimStatus.Contested) revert WrongClaimStatus(p.status);
        _requireOver(p);
        _payClaim(id, p, p.claimed);
    }

    /// @inheritdoc IWarranty
    function ruleClaim(uint256 id, uint256 amount) external nonReentrant {
        Policy storage p = _policies[id];
        _requireStatus(p, ClaimStatus.Contested);
        if (msg.sender != p.arbiter) revert NotAuthorised(msg.sender);
        _requireInTime(p);
        if (amount > p.claimed) revert BadAmount(amount, p.claimed);
        emit ClaimRuled(id, amount);
        _payClaim(id, p, amount);
    }

    /// @inheritdoc IWarranty
    function expire(uint256 id) external nonReentrant {
        Policy storage p = _policies[id];
        _requireStatus(p, ClaimStatus.Active);
        if (block.timestamp <= p.endsAt) revert TooEarly(p.endsAt);
        _end(id, p);
    }

    /// @inheritdoc IWarranty
    function surrender(uint256 id) external nonReentrant {
        Policy storage p = _policies[id];
        _requireStatus(p, ClaimStatus.Active);
        _requireHolder(id);
        _end(id, p);
    }

    // ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IWarranty
    function certificateOf(uint256 id)
        external
        view
        returns (
            ClaimStatus status,
            address underwriter,
            address token,
            uint256 coverLeft,
            uint256 claimed,
            uint40 deadline,
            uint40 endsAt
        )
    {
        Policy storage p = _policies[id];
        return (p.status, p.underwriter, p.token, p.coverLeft, p.claimed, p.deadline, p.endsAt);
    }

    /// @inheritdoc IWarranty
    function idOf(Certificate calldata c) public view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, address(this), c)));
    }

    /// @notice The CID (base16, DAG-CBOR, sha2-256) of the warranty-terms document.
    function tokenURI(uint256 id) public view override returns (string memory) {
        _requireOwned(id);
        bytes memory cid = abi.encodePacked(bytes4(0x01711220), _policies[id].termsHash);
        bytes memory hexed = Bytes.slice(bytes(Strings.toHexString(cid)), 2); // multibase writes "f" for "0x"
        return string.concat("ipfs://f", string(hexed));
    }

    /// @notice ERC-165, ERC-721 with metadata, and ERC-4906.
    function supportsInterface(bytes4 id) public view override(ERC721, IERC165) returns (bool) {
        return id == METADATA_UPDATES || super.supportsInterface(id);
    }

    // ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev The only place that moves a certificate on once it is issued, so that no change goes unannounced.
    function _become(uint256 id, Policy storage p, ClaimStatus status) private {
        p.status = status;
        emit MetadataUpdate(id);
    }

    function _await(uint256 id, Policy storage p, ClaimStatus status, uint256 window) private {
        p.deadline = uint40(block.timestamp + window);
        _become(id, p, status);
    }

    /// @dev Closes the open claim; a certificate without cover ends.
    function _settle(uint256 id, Policy storage p) private {
        (p.claimed, p.deadline) = (0, 0);
        if (p.coverLeft == 0) _end(id, p);
        else _become(id, p, ClaimStatus.Active);
    }

    function _payClaim(uint256 id, Policy storage p, uint256 amount) private {
        address holder = ownerOf(id);
        _spend(p.underwriter, p.token, amount);
        p.coverLeft -= uint128(amount);
        emit ClaimPaid(id, holder, amount);
        _settle(id, p);
        _pay(p.token, holder, amount);
    }

    function _end(uint256 id, Policy storage p) private {
        _free(p.underwriter, p.token, p.coverLeft);
        p.coverLeft = 0;
        _become(id, p, ClaimStatus.Ended);
        emit Expired(id);
    }

    /// @dev A claim belongs to the holder who opened it: the certificate stays until the claim is settled.
    function _update(address to, uint256 id, address auth) internal override returns (address from) {
        ClaimStatus status = _policies[id].status;
        if (status > ClaimStatus.Active && status < ClaimStatus.Ended) revert WrongClaimStatus(status);
        return super._update(to, id, auth);
    }

    function _requireHolder(uint256 id) private view {
        if (msg.sender != ownerOf(id)) revert NotAuthorised(msg.sender);
    }

    function _requireUnderwriter(address underwriter) private view {
        if (msg.sender == underwriter) return;
        if (escrow.operatorUntil(underwriter, msg.sender) < block.timestamp) revert NotAuthorised(msg.sender);
    }

    /// @dev A stolen operator key must not empty the bond: it commits no more than the underwriter granted.
    function _requireCommitting(address underwriter, address token, uint256 amount) private {
        if (msg.sender == underwriter) return;
        _requireUnderwriter(underwriter);
        _spendOperatorCover(underwriter, token, amount);
    }

    function _requireStatus(Policy storage p, ClaimStatus status) private view {
        if (p.status != status) revert WrongClaimStatus(p.status);
    }

    function _requireInTime(Policy storage p) private view {
        if (block.timestamp > p.deadline) revert TooLate(p.deadline);
    }

    function _requireOver(Policy storage p) private view {
        if (block.timestamp <= p.deadline) revert TooEarly(p.deadline);
    }

    function _domainName() internal pure override returns (string memory) {
        return "Halle Warranty";
    }

    function _domainNameHash() internal pure override returns (bytes32) {
        return keccak256("Halle Warranty");
    }

    // slither-disable-end timestamp
}
