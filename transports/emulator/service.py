# The authorization service as a pure object: a request and the time in, a response out.
#
# Decided here: which path does what, and how an answer looks. The rules of rotation are in families.py, those of
# tokens in tokens.py, the demands on a request in reading.py. Not settled by the public documentation, so chosen
# here: the refresh path and its body (both settable), the wording of errors, 401 for what is not believed and 403
# for what does not suffice.
#
# Not known here: sockets, clocks, threads. Whoever calls from several threads holds a lock around `handle`.

from collections.abc import Callable, Iterable, Mapping
from random import Random, SystemRandom
from uuid import UUID

from ... import Request, Response
from .accounts import Credentials, Directory
from .answers import TokenPair, json_answer, token_object, token_pair
from .families import EXPIRED, REPLAY, REUSE, REVOKED, ROTATE, Families, Family, Grace, Principal
from .journal import CREDENTIALS, ISSUE, REFRESH, RESOURCE, UNKNOWN, Journal, JournalEntry, Statistics
from .reading import Refusal, Visit, header_of, path_of, read_body, refusal_answer
from .tokens import Grant, SecurityGrant, SignedToken, TokenMint, TokenRefused

__all__ = ["AuthorizationService"]

PASSWORD_FACTOR = "credentials"


class AuthorizationService:
    """The whole authorization service, in memory.

    Args:
        accounts: username to password; without it there is one account with a random password (see
            `credentials`).
        merchant_keys: the keys of merchants; without it there is one random key (see `merchant_key`).
        factors_required: how many different security factors an issue by factors takes.
        permission_lifetime: whole seconds a permission token lives.
        refresh_lifetime: whole seconds a refresh token lives; each refresh makes a new one.
        security_lifetime: whole seconds a security token lives.
        grace: seconds in which a used refresh token with the same request id is answered the same again; 0 is
            off.
        grace_any_request_id: whether the grace window is open to any request id.
        rotation: whether a refresh makes a new refresh token; if not, the old one stays good.
        clock_offset: seconds by which the service's clock is ahead of the clock handed in.
        base_path: the path below which everything is; no trailing slash.
        refresh_path: the path of refresh, below the base path.
        refresh_field: the name of the refresh token in the body of a refresh.
        wrap_security_token: whether the security token is answered as an object, the way the other tokens
            are.
        random: the source of chance; with a seeded `random.Random` a run can be replayed byte for byte. Never
            do that for a service that strangers can reach.

    Attributes:
        statistics: `Statistics`, counted since the service was made.
        journal: `Journal`, one entry for each request.

    Every setting but the first two and the last is also an attribute, and may be changed at any time.
    """

    def __init__(
        self,
        accounts: Mapping[str, str] | None = None,
        merchant_keys: Iterable[str] | None = None,
        *,
        factors_required: int = 1,
        permission_lifetime: int = 900,
        refresh_lifetime: int = 30 * 24 * 3600,
        security_lifetime: int = 300,
        grace: float = 0,
        grace_any_request_id: bool = False,
        rotation: bool = True,
        clock_offset: float = 0,
        base_path: str = "/authorization/v1",
        refresh_path: str = "/api/permission/refresh",
        refresh_field: str = "permissionRefreshToken",
        wrap_security_token: bool = False,
        random: Random | None = None,
    ) -> None:
        self._random = SystemRandom() if random is None else random
        self._mint = TokenMint(self._random.randbytes(32))
        self._families = Families()
        self._directory = Directory(
            {"user@example.com": self._random.randbytes(12).hex()} if accounts is None else accounts,
            [self._random.randbytes(24).hex()] if merchant_keys is None else merchant_keys,
            self._uuid,
        )
        self.factors_required = factors_required
        self.permission_lifetime = permission_lifetime
        self.refresh_lifetime = refresh_lifetime
        self.security_lifetime = security_lifetime
        self.grace = grace
        self.grace_any_request_id = grace_any_request_id
        self.rotation = rotation
        self.clock_offset = clock_offset
        self.base_path = base_path
        self.refresh_path = refresh_path
        self.refresh_field = refresh_field
        self.wrap_security_token = wrap_security_token
        self.statistics = Statistics()
        self.journal = Journal()

    def __repr__(self) -> str:
        return f"<AuthorizationService, {len(self._directory)} accounts, {len(self._families)} sessions>"

    def handle(self, request: Request, wall: float, *, fault: str = "") -> Response:
        """Act on a request and answer it, whatever it is.

        Args:
            request: routed by the path of its URL; header names in any case.
            wall: Unix time in seconds; the service's own clock is `clock_offset` ahead of it.
            fault: the names of the faults that will befall the answer, for the journal.

        Returns:
            The answer: 200, or 400, 401, 403, 404, 405 with `requestId`, `error` and `message` as JSON.
        """
        visit = self._visit(request, wall)
        self.statistics.requests += 1
        try:
            response = self._act(visit)
        except Refusal as refusal:
            self.statistics.count_refusal(refusal.status, visit.kind)
            response = refusal_answer(visit.request_id, visit.now, refusal)
        self.journal.note(visit.entry(response.status, fault))
        return response

    def note_unacted(self, request: Request, wall: float, status: int, fault: str) -> None:
        """Enter a request that a fault kept from `handle` into the journal; status 0 is no answer."""
        visit = self._visit(request, wall)
        visit.outcome = "not acted"
        self.statistics.requests += 1
        self.statistics.not_acted += 1
        self.journal.note(visit.entry(status, fault))

    def refuse_unreadable(self, wall: float, status: int, message: str) -> Response:
        """Count, enter into the journal and answer what was not even a request."""
        self.statistics.requests += 1
        self.statistics.malformed += 1
        self.journal.note(JournalEntry(UNKNOWN, None, status, "malformed", wall))
        return refusal_answer(None, wall + self.clock_offset, Refusal(status, "malformed_request", message))

    def kind_of(self, request: Request) -> str:
        """Return what a request is about, by its path: one of the journal's kinds."""
        route = self._routes().get(path_of(request))
        return UNKNOWN if route is None else route[0]

    # --- for tests and operators ---

    @property
    def credentials(self) -> Credentials:
        """The first account's username and password; LookupError if there is no account."""
        return self._directory.first_credentials()

    @property
    def merchant_key(self) -> str:
        """The first merchant key; LookupError if there is none."""
        return self._directory.first_merchant_key()

    @property
    def account_ids(self) -> dict[str, str]:
        """Username to account id, a copy."""
        return dict(self._directory.account_ids)

    def security_token(self, username: str, factor: str, wall: float) -> str:
        """Return proof that an account holder has shown the factor of that name.

        Over the wire there are only credentials, so this is how a second factor is had. KeyError if there is no such
        account.
        """
        return self._prove(self._directory.account_ids[username], factor, wall + self.clock_offset).text

    def revoke(self, token_id: str | None = None) -> None:
        """Revoke the sessions under a token id, or all: their refresh and permission tokens are refused."""
        for family in self._families.select(token_id):
            family.state = REVOKED

    def revoke_permission_tokens(self, token_id: str | None = None) -> None:
        """Refuse the permission tokens made so far, under a token id or all; the sessions can refresh."""
        for family in self._families.select(token_id):
            family.permission_tokens_refused = family.permission_tokens

    def expire_refresh_tokens(self, token_id: str | None = None) -> None:
        """Refuse the refresh tokens made so far, under a token id or all; permission tokens live on."""
        for family in self._families.select(token_id):
            if family.state != REVOKED:
                family.state = EXPIRED

    def fingerprint(self, token: str) -> str:
        """Return the fingerprint by which the journal calls a token."""
        return self._mint.fingerprint(token)

    # --- what a client can ask for ---

    def _verify_credentials(self, visit: Visit) -> Response:
        username, password = read_body(visit.request, username=str, password=str)
        visit.outcome = "refused"
        account_id = self._directory.account_of(username, password)
        if account_id is None:
            raise Refusal(401, "invalid_credentials", "no such username and password")
        self.statistics.verified += 1
        visit.outcome = "verified"
        token = self._prove(account_id, PASSWORD_FACTOR, visit.now)
        wrapped = token_object("securityToken", token)
        return self._success(visit, {"securityToken": wrapped if self.wrap_security_token else token.text})

    def _issue_by_factors(self, visit: Visit) -> Response:
        token_id, permissions, tokens = read_body(visit.request, tokenId=UUID, permissions=list, securityTokens=list)
        visit.outcome = "refused"
        try:
            grants = [self._mint.read_security_token(token, visit.now) for token in tokens]
        except TokenRefused as reason:
            raise Refusal(401, "invalid_security_token", f"a security token is refused: {reason}") from None
        if len({grant.account_id for grant in grants}) > 1:
            raise Refusal(403, "mixed_accounts", "the security tokens are of different accounts")
        # One factor proven twice is still one factor.
        if len({grant.factor for grant in grants}) < max(1, self.factors_required):
            raise Refusal(403, "insufficient_factors", f"{self.factors_required} different factors are required")
        owner = Principal(grants[0].account_id, self._directory.merchant_id)
        return self._issue(visit, owner, token_id, permissions)

    def _issue_by_key(self, visit: Visit) -> Response:
        token_id, permissions, key = read_body(visit.request, tokenId=UUID, permissions=list, merchantKey=str)
        visit.outcome = "refused"
        merchant_id = self._directory.merchant_of(key)
        if merchant_id is None:
            raise Refusal(401, "invalid_merchant_key", "no such merchant key")
        return self._issue(visit, Principal(None, merchant_id), token_id, permissions)

    def _issue(self, visit: Visit, owner: Principal, token_id: str, permissions: list[str]) -> Response:
        # A UUID is the same in either case, so it names the same session.
        family = Family(self._uuid(), owner, token_id.lower(), permissions)
        self._families.open(family)
        self.statistics.issued += 1
        visit.outcome = "issued"
        visit.concerns(family.id, family.generation)
        token = self._refresh_token(family, family.generation, visit.now)
        return self._success(visit, self._pair(family, token, visit.now))

    def _refresh(self, visit: Visit) -> Response:
        (text,) = read_body(visit.request, **{self.refresh_field: str})
        visit.outcome = "refused"
        visit.fingerprint = self.fingerprint(text)
        try:
            grant, token = self._mint.read_refresh_token(text, visit.now)
        except TokenRefused as reason:
            raise Refusal(401, "invalid_refresh_token", f"the refresh token is refused: {reason}") from None
        visit.concerns(grant.family, grant.number)
        family = self._families.get(grant.family)
        if family is None:  # another service of the same seed has signed it
            raise Refusal(401, "invalid_refresh_token", "the refresh token's session is unknown")
        request_id = visit.request_id or ""  # never empty: read_body has refused that
        grace = Grace(self.grace, self.grace_any_request_id)
        decision = family.present(grant.number, request_id, visit.wall, grace)
        if decision == ROTATE:
            self.statistics.refreshes += 1
            visit.outcome = "refreshed"
            if not self.rotation:
                return self._success(visit, self._pair(family, token, visit.now))
            token = self._refresh_token(family, family.generation + 1, visit.now)
            answer = self._pair(family, token, visit.now)
            family.rotate(answer, request_id, visit.wall, grace)
            return self._success(visit, answer)
        if decision == REPLAY:
            self.statistics.replayed += 1
            visit.outcome = "replayed"
            return self._success(visit, family.answer_to(grant.number))
        if decision == REUSE:
            self.statistics.reuse_detected += 1
            visit.outcome = "reuse"
            raise Refusal(401, "refresh_token_reused", "the refresh token was used before: its session is revoked")
        raise Refusal(401, "invalid_refresh_token", f"the refresh token's session is {family.state}")

    def _serve_resource(self, visit: Visit) -> Response:
        visit.outcome = "refused"
        scheme, _, text = header_of(visit.request, "authorization").partition(" ")
        if scheme.lower() != "bearer" or not text:
            # RFC 6750, section 3.1: who has not tried to authenticate is told no error code.
            raise Refusal(401, "missing_token", "send a bearer token", (("www-authenticate", "Bearer"),))
        visit.fingerprint = self.fingerprint(text)
        challenge = (("www-authenticate", 'Bearer error="invalid_token"'),)
        try:
            grant, claims = self._mint.read_permission_token(text, visit.now)
        except TokenRefused as reason:
            raise Refusal(401, "invalid_token", f"the token is refused: {reason}", challenge) from None
        visit.concerns(grant.family, grant.number)
        family = self._families.get(grant.family)
        if family is None or not family.accepts_permission_token(grant.number):
            raise Refusal(401, "invalid_token", "the token was revoked", challenge)
        self.statistics.resource_ok += 1
        visit.outcome = "served"
        return json_answer({name: claims[name] for name in ("accountId", "merchantId", "permissions")}, visit.now)

    # --- routing ---

    def _visit(self, request: Request, wall: float) -> Visit:
        return Visit(request, wall, wall + self.clock_offset, self.kind_of(request))

    def _act(self, visit: Visit) -> Response:
        route = self._routes().get(path_of(visit.request))
        if route is None:
            raise Refusal(404, "not_found", "there is nothing at this path")
        _, method, action = route
        if visit.request.method != method:
            raise Refusal(405, "method_not_allowed", f"use {method}", (("allow", method),))
        return action(visit)

    def _routes(self) -> "dict[str, tuple[str, str, Callable[[Visit], Response]]]":
        """Return path -> (kind, method, what to do); made anew each time, since the paths are settable."""
        routes = {
            "/api/security-factor/credentials": (CREDENTIALS, "POST", self._verify_credentials),
            "/api/permission/issue-by-factors": (ISSUE, "POST", self._issue_by_factors),
            "/api/permission/issue-by-key": (ISSUE, "POST", self._issue_by_key),
            self.refresh_path: (REFRESH, "POST", self._refresh),
            "/api/resource": (RESOURCE, "GET", self._serve_resource),
        }
        return {self.base_path + path: route for path, route in routes.items()}

    # --- answers ---

    def _prove(self, account_id: str, factor: str, now: float) -> SignedToken:
        grant = SecurityGrant(account_id, factor)
        return self._mint.security_token(grant, self._uuid(), now, self.security_lifetime)

    def _refresh_token(self, family: Family, generation: int, now: float) -> SignedToken:
        grant = Grant(family.id, generation)
        return self._mint.refresh_token(grant, self._uuid(), now, self.refresh_lifetime)

    def _pair(self, family: Family, refresh: SignedToken, now: float) -> TokenPair:
        """Make a new permission token to go with a refresh token."""
        grant = Grant(family.id, family.next_permission_token())
        claims = {
            "accountId": family.owner.account_id,
            "merchantId": family.owner.merchant_id,
            "permissions": list(family.permissions),
        }
        permission = self._mint.permission_token(grant, claims, now, self.permission_lifetime)
        return token_pair(permission, refresh)

    def _success(self, visit: Visit, data: Mapping[str, object]) -> Response:
        return json_answer({"requestId": visit.request_id, "data": data}, visit.now)

    def _uuid(self) -> str:
        return str(UUID(bytes=self._random.randbytes(16), version=4))
