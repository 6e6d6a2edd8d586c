"""How Okta says no: in JSON at the token endpoint, in `WWW-Authenticate` at the API.

The words are those of Okta's own list of OAuth errors (okta-developer-docs, `data/oauth2-error-codes.json`) and of
recorded answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.responses import JSONResponse, Response

from rosterhook.simulator.auth.jose import ALGORITHMS


@dataclass(eq=False)
class OAuthError(Exception):
    """No token: `{"error": ..., "error_description": ...}`."""

    status: int
    error: str
    description: str
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.error}: {self.description}"

    def answer(self) -> Response:
        """As the token endpoint sends it."""
        return JSONResponse({"error": self.error, "error_description": self.description}, self.status, self.headers)


def bad_client(description: str) -> OAuthError:
    """The client has not shown who it is."""
    return OAuthError(401, "invalid_client", description)


def bad_request(description: str) -> OAuthError:
    """The form is wrong."""
    return OAuthError(400, "invalid_request", description)


def bad_scope(description: str) -> OAuthError:
    """The scopes asked for are no scopes of this org."""
    return OAuthError(400, "invalid_scope", description)


def bad_proof(description: str) -> OAuthError:
    """The DPoP proof proves nothing. At the API it becomes a `Refusal` with the same words."""
    return OAuthError(400, "invalid_dpop_proof", description)


@dataclass(eq=False)
class Refusal(Exception):
    """An API call with an access token that isn't let in: no body, all is in a header (recorded).

    Attributes:
        scheme: "Bearer" or "DPoP", as the caller used it.
    """

    status: int
    scheme: str
    error: str
    description: str

    def __str__(self) -> str:
        return f"{self.status} {self.error}: {self.description}"

    def answer(self, host: str, scope: str, path: str) -> Response:
        """As the API sends it.

        Args:
            host: of the org; Okta names it with http:// even where all is https (recorded).
            scope: what the endpoint asks for.
            path: of the call, without its query.
        """
        parts = [f'algs="{" ".join(ALGORITHMS)}"'] if self.scheme == "DPoP" else []
        parts += [
            f'authorization_uri="http://{host}/oauth2/v1/authorize"',
            f'realm="http://{host}"',
            f'scope="{scope}"',
            f'error="{self.error}"',
            f'error_description="{self.description}"',
            f'resource="{path}"',
        ]
        return Response(status_code=self.status, headers={"WWW-Authenticate": f"{self.scheme} {', '.join(parts)}"})
