"""JWT authorizers with a real RS256 key set: whose token is taken, and for which user."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import inspect
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from handlers import upgrade_api

honours = pytest.mark.honours

AUDIENCE, KEY_ID = "weir", "key-1"
#: Far away on every clock that a test puts forward.
LATER = 4_000_000_000

HANDLER = f"""
import json
from typing import Any

ADMINISTRATOR = {upgrade_api.ADMINISTRATOR!r}

{inspect.getsource(upgrade_api.may_act_for)}

def handler(event, context):
    allowed = may_act_for(event["pathParameters"]["userId"], event)
    return {{"statusCode": 200 if allowed else 403, "body": json.dumps({{"allowed": allowed}})}}
"""


class Identities:
    """An identity provider on this machine: its discovery document, its key set, and tokens."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        keys = {"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
                found = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks.json"} if "openid" in self.path else keys
                body = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def claims(self, **differently: Any) -> dict[str, Any]:
        return {"iss": self.issuer, "aud": AUDIENCE, "sub": "alice", "exp": LATER, **differently}

    def token(self, *, key: Any = None, kid: str | None = KEY_ID, algorithm: str = "RS256", **claims: Any) -> str:
        headers = {"kid": kid} if kid else {}
        return jwt.encode(self.claims(**claims), key or self.key, algorithm=algorithm, headers=headers)


@pytest.fixture(scope="module")
def identities() -> Iterator[Identities]:
    made = Identities()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def call(world: Any, identities: Identities) -> Any:
    """Calls the route of a user with a token, and returns the status."""
    gateway = world.client("apigatewayv2")
    world.function(HANDLER)
    api = gateway.create_api(Name=world.name, ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    integration = gateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"arn:aws:lambda:us-east-1:111122223333:function:{world.name}",
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    world.let_call(api)
    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name=world.name,
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": identities.issuer, "Audience": [AUDIENCE]},
    )["AuthorizerId"]
    gateway.create_route(
        ApiId=api,
        RouteKey="POST /users/{userId}/plan",
        Target=f"integrations/{integration}",
        AuthorizationType="JWT",
        AuthorizerId=authorizer,
    )
    path = world.aws.api_url(api).removeprefix(world.aws.url)

    def called(user: str, token: str | None) -> int:
        connection = http.client.HTTPConnection(world.aws.url.rpartition("/")[2], timeout=60)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        connection.request("POST", f"{path}/users/{user}/plan", b"{}", headers)
        status = connection.getresponse().status
        connection.close()
        return status

    return called


@honours("apigatewayv2:CreateAuthorizer", "ApiId Name AuthorizerType IdentitySource JwtConfiguration")
@honours("apigatewayv2:CreateRoute", "AuthorizationType AuthorizerId")
def test_a_token_acts_for_its_own_user_alone_unless_it_has_the_administrators_scope(
    call: Any, identities: Identities
) -> None:
    assert call("alice", identities.token()) == 200
    assert call("bob", identities.token()) == 403
    assert call("bob", identities.token(scope="profile")) == 403
    assert call("bob", identities.token(scope=f"profile {upgrade_api.ADMINISTRATOR}")) == 200


def test_a_token_that_the_issuer_did_not_sign_for_this_audience_is_unauthorized(
    call: Any, identities: Identities
) -> None:
    another = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = identities.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    refused = {
        "none at all": None,
        "expired": identities.token(exp=1_000_000_000),
        "another audience": identities.token(aud="another"),
        "another issuer": identities.token(iss="https://issuer.example.com"),
        "another key": identities.token(key=another),
        "an unknown key id": identities.token(kid="key-2"),
        "without a key id": identities.token(kid=None),
        "the algorithm none": _signed_by_hand({"alg": "none", "kid": KEY_ID}, identities.claims(), b""),
        "HS256 with the public key": _hs256(identities.claims(), public),
        "no token": "not.a.token",
    }
    assert {what: call("alice", token) for what, token in refused.items()} == dict.fromkeys(refused, 401)


@honours("apigatewayv2:GetAuthorizer", "ApiId AuthorizerId")
@honours("apigatewayv2:DeleteAuthorizer", "ApiId AuthorizerId")
def test_an_authorizer_is_described_until_it_is_deleted(world: Any) -> None:
    gateway = world.client("apigatewayv2")
    api = gateway.create_api(Name=world.name, ProtocolType="HTTP")["ApiId"]
    made = gateway.create_authorizer(
        ApiId=api,
        Name="tokens",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": "https://issuer.example.com", "Audience": [AUDIENCE]},
    )["AuthorizerId"]
    found = gateway.get_authorizer(ApiId=api, AuthorizerId=made)
    assert (found["Name"], found["JwtConfiguration"]["Audience"]) == ("tokens", [AUDIENCE])
    gateway.delete_authorizer(ApiId=api, AuthorizerId=made)
    with pytest.raises(gateway.exceptions.NotFoundException):
        gateway.get_authorizer(ApiId=api, AuthorizerId=made)


def _signed_by_hand(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _hs256(claims: dict[str, Any], public_key: bytes) -> str:
    """Sign with the public key as the secret of an HMAC, which PyJWT itself refuses to do."""

    header = {"alg": "HS256", "typ": "JWT", "kid": KEY_ID}
    unsigned = _signed_by_hand(header, claims, b"").rpartition(".")[0]
    signature = hmac.new(public_key, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
