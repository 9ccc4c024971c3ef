// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a warranty certificate says. Its hash is the ERC-721 token id.
struct Certificate {
    /// Who pays claims: the merchant, or a third party (an insurance).
    address underwriter;
    /// Who gets the certificate.
    address holder;
    /// Token of the cover, zero for the chain's native coin.
    address token;
    /// Most that will ever be paid, smallest units of `token`; 1 … 2^128-1.
    uint256 cover;
    /// Price of the certificate in `token`; paid through `buy`, or as part of the order it belongs to.
    uint256 premium;
    /// First and last second at which a claim can be opened (unix time).
    uint40 startsAt;
    uint40 endsAt;
    /// Seconds the underwriter has to answer a claim, and the holder to answer an offer.
    uint32 respondWithin;
    /// Rules a contested claim.
    address arbiter;
    /// Seconds the arbiter has; silence pays the holder.
    uint32 arbiterWithin;
    /// The escrow order, the line of it, and the serial number, as salted hashes.
    bytes32 orderId;
    bytes32 itemHash;
    bytes32 serialHash;
    /// sha2-256 of the warranty-terms document (DAG-CBOR): `tokenURI` is its CID.
    bytes32 termsHash;
}

/// @notice Where a certificate stands.
enum ClaimStatus {
    None,
    Active,
    Claimed,
    Offered,
    Contested,
    Ended
}

/// @title Halle Warranty
/// @notice Warranty and insurance certificates, each fully backed by its underwriter's bond.
///
/// Laws: reserved ≤ bond, always · an unanswered claim is always payable · payouts ≤ cover · only the present holder
/// claims, and only between `startsAt` and `endsAt` · from every state somebody alone can go on after a bounded time.
///
/// | from      | call            | by                   | when       | to        |
/// |-----------|-----------------|----------------------|------------|-----------|
/// | Active    | openClaim       | holder               | in term    | Claimed   |
/// | Claimed   | acceptClaim     | underwriter          | any time   | Active (paid) |
/// | Claimed   | offer           | underwriter          | ≤ deadline | Offered   |
/// | Claimed   | contest         | underwriter          | ≤ deadline | Contested |
/// | Claimed   | payUnanswered   | anyone               | > deadline | Active (paid) |
/// | Offered   | acceptOffer     | holder               | any time   | Active    |
/// | Offered   | acceptClaim     | underwriter          | any time   | Active (paid) |
/// | Offered   | contest         | holder               | ≤ deadline | Contested |
/// | Offered   | lapseOffer      | anyone               | > deadline | Active    |
/// | Contested | ruleClaim       | arbiter              | ≤ deadline | Active (paid as ruled) |
/// | Contested | acceptClaim     | underwriter          | any time   | Active (paid) |
/// | Contested | payUnanswered   | anyone               | > deadline | Active (paid) |
/// | Active    | expire          | anyone               | > endsAt   | Ended     |
/// | Active    | surrender       | holder               | any time   | Ended     |
///
/// Each of these calls also emits ERC-4906 `MetadataUpdate`, as state and cover are what a market shows of a certificate.
/// Whatever is paid emits `ClaimPaid`, `Credited` when the push failed, and `Expired` when it was the last of the cover. All
/// calls but `setOperatorCover` and ERC-721's own revert with `Reentered` from inside each other. An `id` nobody registered
/// reverts with `WrongClaimStatus(None)`.
/// A certificate whose cover is used up ends at once. While a claim is open the certificate cannot be transferred.
/// "underwriter" includes its Escrow operators for `offer` and `contest`; for `register` and `acceptClaim`, which put
/// the bond at risk, only up to the cover the underwriter itself granted with `setOperatorCover`.
interface IWarranty {
    /// `amount` came into the bond, by `deposit` or as the premium of a certificate.
    event Deposited(address indexed underwriter, address indexed token, uint256 amount);
    /// `amount` of free bond went back to the underwriter.
    event BondWithdrawn(address indexed underwriter, address indexed token, uint256 amount);
    /// The underwriter's operators may commit `cover` from now on.
    event OperatorCoverSet(address indexed underwriter, address indexed token, uint256 cover);
    /// The certificate exists, its cover is reserved; the ERC-721 `Transfer` from zero comes with it.
    event Registered(
        uint256 indexed id,
        address indexed underwriter,
        address indexed holder,
        bytes32 orderId,
        uint256 cover,
        uint40 endsAt
    );
    /// The `claimNo`-th claim on this certificate; the underwriter has until `deadline`.
    event ClaimOpened(uint256 indexed id, uint32 claimNo, uint256 amount, bytes32 evidence, uint40 deadline);
    /// The underwriter agrees to pay; `ClaimPaid` follows.
    event ClaimAccepted(uint256 indexed id);
    /// The arbiter has until `deadline`.
    event ClaimContested(uint256 indexed id, address by, bytes32 evidence, uint40 deadline);
    /// Pushed or credited to the holder; 0 when the arbiter found for the underwriter.
    event ClaimPaid(uint256 indexed id, address holder, uint256 amount);
    /// The arbiter's decision; `ClaimPaid` follows.
    event ClaimRuled(uint256 indexed id, uint256 amount);
    /// `offerHash`: hash of the offer of repair or replacement. The holder has until `deadline`.
    event OfferMade(uint256 indexed id, bytes32 offerHash, uint40 deadline);
    /// The holder took the offer; the claim is settled without money.
    event OfferAccepted(uint256 indexed id);
    /// Nobody answered the offer: the claim is closed, and can be opened again.
    event OfferLapsed(uint256 indexed id);
    /// The certificate ended: its term is over, its cover used up, or the holder gave it up.
    event Expired(uint256 indexed id);

    /// The certificate is not in a state that allows this call.
    error WrongClaimStatus(ClaimStatus status);
    /// The caller has no right to this call.
    error NotAuthorised(address caller);
    /// A field of the certificate is out of its range; `field` is its name.
    error BadCertificate(string field);
    /// More than the free bond, the cover, the claim or the operator's share allows.
    error BadAmount(uint256 amount, uint256 available);
    /// The call opens after `opensAfter` (unix seconds).
    error TooEarly(uint256 opensAfter);
    /// The call closed at `closedAt` (unix seconds).
    error TooLate(uint256 closedAt);
    /// The signature is malformed, not the underwriter's, or for another certificate, chain or contract.
    error BadSignature();

    /// @notice Add `amount` (smallest units of `token`) to the caller's bond. Native coin: send exactly `amount`.
    /// @dev Emits `Deposited`. Reverts: `BadAmount` for zero or a bond of more than 2^128-1, `WrongPayment`, and
    /// whatever the token reverts with.
    function deposit(address token, uint256 amount) external payable;

    /// @notice Take back bond that backs no certificate.
    /// @dev Emits `BondWithdrawn`. Reverts: `BadAmount` for zero or more than is free, `PushFailed` when the caller
    /// refuses coins.
    function withdrawBond(address token, uint256 amount) external;

    /// @notice Let the caller's operators commit up to `cover` of the bond (`register` and `acceptClaim` use it up).
    /// @dev Emits `OperatorCoverSet`. Never reverts.
    function setOperatorCover(address token, uint256 cover) external;

    /// @notice The underwriter issues a certificate; its cover is reserved from the free bond.
    /// @dev Emits `Registered`. Reverts: `NotAuthorised`, `BadAmount` when more than the free bond or the operator's
    /// cover, `BadCertificate`, `WrongClaimStatus` when it was registered before.
    function register(Certificate calldata c) external returns (uint256 id);

    /// @notice The caller pays the premium, and gets the certificate for `c.holder`.
    /// @param sig the underwriter's signature on `CertificateOffer(uint256 id,uint256 deadline)`, `id = idOf(c)`.
    /// @dev The premium becomes part of the underwriter's bond.
    /// @dev Emits `Deposited`, `Registered`. Reverts: `TooLate` after `deadline`, `BadSignature`, `BadAmount` without
    /// a premium or above the bond, `BadCertificate`, `WrongClaimStatus`, `WrongPayment`.
    function buy(Certificate calldata c, uint256 deadline, bytes calldata sig) external payable returns (uint256 id);

    /// @notice The holder asks for `amount` (smallest units) of the cover. @param evidence hash of the evidence bundle.
    /// @dev Emits `ClaimOpened`. Reverts: `WrongClaimStatus`, `NotAuthorised`, `TooEarly` before the term, `TooLate`
    /// after it, `BadAmount`.
    function openClaim(uint256 id, uint256 amount, bytes32 evidence) external;
    /// @notice The underwriter pays what is claimed, also while the claim is contested.
    /// @dev Emits `ClaimAccepted`, `ClaimPaid`. Reverts: `WrongClaimStatus`, `NotAuthorised`, `BadAmount` beyond the
    /// operator's cover.
    function acceptClaim(uint256 id) external;

    /// @notice The underwriter offers repair or replacement instead of money.
    /// @dev Emits `OfferMade`. Reverts: `WrongClaimStatus`, `NotAuthorised`, `TooLate`.
    function offer(uint256 id, bytes32 offerHash) external;

    /// @notice The holder takes the offer: the claim is settled, the cover stays whole.
    /// @dev Emits `OfferAccepted`. Reverts: `WrongClaimStatus`, `NotAuthorised`.
    function acceptOffer(uint256 id) external;

    /// @notice Close a claim whose offer the holder left unanswered; the cover stays whole, a new claim can be opened.
    /// @dev Emits `OfferLapsed`. Reverts: `WrongClaimStatus`, `TooEarly`.
    function lapseOffer(uint256 id) external;

    /// @notice The underwriter rejects a claim, or the holder an offer: the arbiter decides.
    /// @dev Emits `ClaimContested`. Reverts: `WrongClaimStatus`, `NotAuthorised`, `TooLate`.
    function contest(uint256 id, bytes32 evidence) external;

    /// @notice Pay a claim that the underwriter, or the arbiter, left unanswered.
    /// @dev Emits `ClaimPaid`. Reverts: `WrongClaimStatus`, `TooEarly`.
    function payUnanswered(uint256 id) external;

    /// @notice The arbiter decides a contested claim. @param amount what the holder gets, 0 up to what is claimed.
    /// @dev Emits `ClaimRuled`, `ClaimPaid`. Reverts: `WrongClaimStatus`, `NotAuthorised`, `TooLate`, `BadAmount`.
    function ruleClaim(uint256 id, uint256 amount) external;

    /// @notice Free the bond of a certificate whose term is over.
    /// @dev Emits `Expired`. Reverts: `WrongClaimStatus`, `TooEarly`.
    function expire(uint256 id) external;

    /// @notice The holder gives the certificate up, for example after a refund.
    /// @dev Emits `Expired`. Reverts: `WrongClaimStatus`, `NotAuthorised`.
    function surrender(uint256 id) external;

    /// @notice The underwriter's bond and the part of it that backs certificates, in smallest units of `token`.
    function bondOf(address underwriter, address token) external view returns (uint256 bond, uint256 reserved);

    /// @notice How much more of the bond the underwriter's operators may commit.
    function operatorCover(address underwriter, address token) external view returns (uint256);

    /// @notice The state of a certificate: cover left, the open claim (0 = none) and its deadline (0 = none).
    /// @dev All zeros for a certificate nobody registered; an ended one keeps its parties.
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
        );

    /// @notice The token id of a certificate: the hash of its content, this chain and this contract.
    function idOf(Certificate calldata c) external view returns (uint256);
}
