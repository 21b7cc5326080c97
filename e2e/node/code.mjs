// npm's openid-client signs in to countersign-issuer by authorization code and PKCE, as a program on
// somebody's computer does: it waits on loopback for the browser to come back. Prints one line of JSON
// per step; the test plays the person in between and judges the lines.
//
// Options are one JSON object in the first argument:
//   issuer, clientId
//   secret   the client's secret, if it has one
//   key      its private key as a JWK, if it signs assertions (private_key_jwt)
//   par      whether the request is pushed (RFC 9126)
//   dpop     whether tokens are bound to a key (RFC 9449)

import './webcrypto.mjs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import * as client from 'openid-client';

const options = JSON.parse(process.argv[2]);
const say = (step, facts) => console.log(JSON.stringify({ step, ...facts }));

/** The error that the server sent, as the library understood it. */
const refused = async (promise) => {
  try {
    return { accepted: await promise };
  } catch (error) {
    return { error: error.error ?? error.message, status: error.status ?? error.cause?.status };
  }
};

async function authentication() {
  if (options.secret) return client.ClientSecretBasic(options.secret);
  if (!options.key) return client.None();
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('jwk', options.key, algorithm, false, ['sign']);
  return client.PrivateKeyJwt({ key, kid: options.key.kid });
}

const config = await client.discovery(
  new URL(options.issuer),
  options.clientId,
  undefined,
  await authentication(),
  // Loopback has no TLS; and ID token signatures are checked, although they came straight from the
  // token endpoint.
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
);
say('discovery', { metadata: config.serverMetadata() });

const DPoP = options.dpop
  ? client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  : undefined;

// Browsers ask for more than they were sent for: an icon, for example.
const loopback = createServer((request, response) => {
  const back = request.url.startsWith('/callback?');
  response.writeHead(back ? 200 : 404, { 'content-type': 'text/plain', connection: 'close' });
  response.end(back ? 'Back in the program.\n' : 'Nothing here.\n');
  if (back) loopback.emit('back', request.url);
});
loopback.listen(0, '127.0.0.1');
await once(loopback, 'listening');
const redirectUri = `http://127.0.0.1:${loopback.address().port}/callback`;

/** Sends the person away and waits for them to come back. */
async function visit(verifier, more = {}) {
  const state = client.randomState();
  const nonce = client.randomNonce();
  const parameters = {
    redirect_uri: redirectUri,
    scope: 'openid profile email offline_access',
    prompt: 'consent',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...more,
  };
  const url = options.par
    ? await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
    : client.buildAuthorizationUrl(config, parameters);
  say('authorize', { url });
  const [path] = await once(loopback, 'back');
  return { url: new URL(path, redirectUri), state, nonce };
}

const redeem = (back, verifier) =>
  client.authorizationCodeGrant(
    config,
    back.url,
    {
      pkceCodeVerifier: verifier,
      expectedState: back.state,
      expectedNonce: back.nonce,
      idTokenExpected: true,
      ...back.checks,
    },
    undefined,
    { DPoP },
  );

const verifier = client.randomPKCECodeVerifier();
const back = await visit(verifier);
const tokens = await redeem(back, verifier);
const claims = tokens.claims();
say('token', {
  claims,
  tokenType: tokens.token_type,
  scope: tokens.scope,
  hasRefreshToken: tokens.refresh_token !== undefined,
});
const userinfo = () => client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP });
say('userinfo', { claims: await userinfo() });

const renewed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
say('refresh', {
  rotated: renewed.refresh_token !== tokens.refresh_token,
  tokenType: renewed.token_type,
});

// Whoever brings the code again has stolen it, or was robbed: what it brought ends as well.
say('code again', await refused(redeem(back, verifier)));
const after = await refused(client.refreshTokenGrant(config, renewed.refresh_token, undefined, { DPoP }));
say('after the code came again', after);

const asked = client.randomPKCECodeVerifier();
const other = await visit(asked);
say('wrong verifier', await refused(redeem(other, client.randomPKCECodeVerifier())));

// Somebody signed in a moment ago, and the client says so.
const later = client.randomPKCECodeVerifier();
const recent = await visit(later, { max_age: '3600', login_hint: 'ada' });
recent.checks = { maxAge: 3600 };
say('recent', { claims: (await redeem(recent, later)).claims() });

const unwanted = client.randomPKCECodeVerifier();
say('denied', await refused(redeem(await visit(unwanted), unwanted)));

loopback.close();
loopback.closeAllConnections();
say('done', {});
