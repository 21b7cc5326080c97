"""Authlib (Debian's python3-authlib) as a client of countersign-issuer.

Another language, another HTTP library, another JOSE implementation. Walks through everything a
client does and prints one line of JSON per step; the test approves the device in between and judges
the lines. Arguments: the issuer, and the client id.
"""

import json
import os
import sys
import time

# The library refuses plain HTTP, which is all that loopback has.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests  # noqa: E402
from authlib.common.errors import AuthlibBaseError  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session  # noqa: E402
from authlib.jose import JsonWebKey, jwt  # noqa: E402
from authlib.oidc.core import IDToken  # noqa: E402

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "openid profile email offline_access"

issuer, client_id = sys.argv[1:3]


def say(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


def refused(call, *arguments, **options):
    """The error that the server sent, as the library understood it."""
    try:
        return {"accepted": call(*arguments, **options)}
    except AuthlibBaseError as error:
        return {"error": error.error}


def document(url, **options):
    response = requests.get(url, timeout=20, **options)
    response.raise_for_status()
    return response.json()


metadata = document(f"{issuer}/.well-known/openid-configuration")
say("discovery", metadata=metadata)
token_endpoint = metadata["token_endpoint"]

session = OAuth2Session(client_id, scope=SCOPE, token_endpoint_auth_method="none")


def begin():
    """RFC 8628, section 3.1: the one request for which the library has no method."""
    response = requests.post(
        metadata["device_authorization_endpoint"],
        data={"client_id": client_id, "scope": SCOPE},
        timeout=20,
    )
    response.raise_for_status()
    device = response.json()
    say("device", **device)
    return device


def redeem(device):
    while True:
        time.sleep(device["interval"])
        try:
            return session.fetch_token(
                token_endpoint, grant_type=DEVICE_GRANT, device_code=device["device_code"]
            )
        except AuthlibBaseError as error:
            if error.error == "slow_down":
                device["interval"] += 5
            elif error.error != "authorization_pending":
                raise


tokens = redeem(begin())

keys = JsonWebKey.import_key_set(document(metadata["jwks_uri"]))
options = {
    "iss": {"essential": True, "value": issuer},
    "aud": {"essential": True, "value": client_id},
    "sub": {"essential": True},
    "exp": {"essential": True},
    "iat": {"essential": True},
}
claims = jwt.decode(tokens["id_token"], keys, claims_cls=IDToken, claims_options=options)
claims.validate(leeway=5)
say("token", claims=dict(claims), header=dict(claims.header), tokenType=tokens["token_type"])

access = jwt.decode(tokens["access_token"], keys)
say("access token", claims=dict(access), header=dict(access.header))

bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
say("userinfo", claims=document(metadata["userinfo_endpoint"], headers=bearer))
say(
    "introspection",
    answer=session.introspect_token(
        metadata["introspection_endpoint"], token=tokens["access_token"]
    ).json(),
)

first = tokens["refresh_token"]
second = session.refresh_token(token_endpoint, refresh_token=first)["refresh_token"]
third = session.refresh_token(token_endpoint, refresh_token=second)["refresh_token"]
say("refresh", rotated=len({first, second, third}) == 3)

# The first refresh token has been followed by two others: the whole family ends.
say("reuse", **refused(session.refresh_token, token_endpoint, refresh_token=first))
say("after reuse", **refused(session.refresh_token, token_endpoint, refresh_token=third))

tokens = redeem(begin())
revoked = session.revoke_token(
    metadata["revocation_endpoint"],
    token=tokens["refresh_token"],
    token_type_hint="refresh_token",
)
say("revocation", status=revoked.status_code)
say(
    "after revocation",
    **refused(session.refresh_token, token_endpoint, refresh_token=tokens["refresh_token"]),
)

say("denied", **refused(redeem, begin()))
say("done")
