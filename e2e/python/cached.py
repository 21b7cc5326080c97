"""Authlib with a token that was kept, as its documentation has programs do it: the session is made with
the token, renews it when it has expired, and hands out the access token.

Arguments: the file, and the issuer.
"""

import json
import sys

from authlib.integrations.requests_client import OAuth2Session

file, issuer = sys.argv[1:]
with open(file, encoding="utf-8") as kept:
    token = json.load(kept)
session = OAuth2Session(
    "cli", token=token, token_endpoint=f"{issuer}/token", token_endpoint_auth_method="none"
)
if not session.ensure_active_token(session.token):
    sys.exit("the token has expired")
print(session.token["access_token"])
