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
/// A certificate whose cover is used up ends at once. While a claim is open the certificate cannot be transferred.
/// "underwriter" includes its Escrow operators for `offer` and `contest`; for `register` and `acceptClaim`, which put
/// the bond at risk, only up to the cover the underwriter itself granted with `setOperatorCover`.
interface IWarranty {
    event Deposited(address indexed underwriter, address indexed token, uint256 amount);
    event BondWithdrawn(address indexed underwriter, address indexed token, uint256 amount);
    event OperatorCoverSet(address indexed underwriter, address indexed token, uint256 cover);
    event Registered(
        uint256 indexed id,
        address indexed underwriter,
        address indexed holder,
        bytes32 orderId,
        uint256 cover,
        uint40 endsAt
    );
    event ClaimOpened(uint256 indexed id, uint32 claimNo, uint256 amount, bytes32 evidence, uint40 deadline);
    event ClaimAccepted(uint256 indexed id);
    event ClaimContested(uint256 indexed id, address by, bytes32 evidence, uint40 deadline);
    event ClaimPaid(uint256 indexed id, address holder, uint256 amount);
    event ClaimRuled(uint256 indexed id, uint256 amount);
    event OfferMade(uint256 indexed id, bytes32 offerHash, uint40 deadline);
    event OfferAccepted(uint256 indexed id);
    event OfferLapsed(uint256 indexed id);
    event Expired(uint256 indexed id);

    /// The certificate is not in a state that allows this call.
    error WrongClaimStatus(ClaimStatus status);
    /// The caller has no right to this call.
    error NotAuthorised(address caller);
    /// A field of the certificate is out of its range; `field` is its name.
    error BadCertificate(string field);
    /// More than the free bond, the cover, the claim or the operator's share allows.
    error BadAmount(uint256 amount, uint256 available);
    error TooEarly(uint256 opensAfter);
    error TooLate(uint256 closedAt);
    error BadSignature();

    /// @notice Add to the caller's bond. Native coin: send exactly `amount`.
    function deposit(address token, uint256 amount) external payable;

    /// @notice Take back bond that backs no certificate.
    function withdrawBond(address token, uint256 amount) external;

    /// @notice Let the caller's operators commit up to `cover` of the bond (`register` and `acceptClaim` use it up).
    function setOperatorCover(address token, uint256 cover) external;

    /// @notice The underwriter issues a certificate; its cover is reserved from the free bond.
    function register(Certificate calldata c) external returns (uint256 id);

    /// @notice The caller pays the premium, and gets the certificate for `c.holder`.
    /// @param sig the underwriter's signature on `CertificateOffer(uint256 id,uint256 deadline)`, `id = idOf(c)`.
    /// @dev The premium becomes part of the underwriter's bond.
    function buy(Certificate calldata c, uint256 deadline, bytes calldata sig) external payable returns (uint256 id);

    function openClaim(uint256 id, uint256 amount, bytes32 evidence) external;
    function acceptClaim(uint256 id) external;

    /// @notice The underwriter offers repair or replacement instead of money.
    function offer(uint256 id, bytes32 offerHash) external;
    function acceptOffer(uint256 id) external;
    function lapseOffer(uint256 id) external;

    /// @notice The underwriter rejects a claim, or the holder an offer: the arbiter decides.
    function contest(uint256 id, bytes32 evidence) external;

    /// @notice Pay a claim that the underwriter, or the arbiter, left unanswered.
    function payUnanswered(uint256 id) external;
    function ruleClaim(uint256 id, uint256 amount) external;

    /// @notice Free the bond of a certificate whose term is over.
    function expire(uint256 id) external;

    /// @notice The holder gives the certificate up, for example after a refund.
    function surrender(uint256 id) external;

    function bondOf(address underwriter, address token) external view returns (uint256 bond, uint256 reserved);
    function operatorCover(address underwriter, address token) external view returns (uint256);

    /// @notice The state of a certificate: cover left, the open claim and its deadline.
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
