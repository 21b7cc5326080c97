// npm's openid-client as a client of countersign-issuer. Walks through everything a client does and
// prints one line of JSON per step; the test approves the device in between and judges the lines.
//
// Arguments: the issuer, the client id, the client's secret ('' if it has none), and `dpop` if tokens are
// to be bound to a key.

import './webcrypto.mjs';
import * as client from 'openid-client';

const [issuer, clientId, secret, binding] = process.argv.slice(2);
const say = (step, facts) => console.log(JSON.stringify({ step, ...facts }));

/** The error that the server sent, as the library understood it. */
const refused = async (promise) => {
  try {
    return { accepted: await promise };
  } catch (error) {
    return { error: error.error ?? error.message, status: error.status ?? error.cause?.status };
  }
};

const authentication = secret ? client.ClientSecretBasic(secret) : client.None();
const config = await client.discovery(new URL(issuer), clientId, undefined, authentication, {
  // Loopback has no TLS; and ID token signatures are checked, although they came straight from the
  // token endpoint.
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
});
say('discovery', { metadata: config.serverMetadata() });

const DPoP =
  binding === 'dpop'
    ? client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
    : undefined;
const poll = (device) => client.pollDeviceAuthorizationGrant(config, device, undefined, { DPoP });
const refresh = (token) => client.refreshTokenGrant(config, token, undefined, { DPoP });

const scope = 'openid profile email offline_access';
const device = await client.initiateDeviceAuthorization(config, { scope });
say('device', device);

const first = await poll(device);
say('token', {
  claims: first.claims(),
  tokenType: first.token_type,
  expiresIn: first.expires_in,
  scope: first.scope,
  hasRefreshToken: first.refresh_token !== undefined,
});
say('code again', await refused(poll(device)));

const { sub } = first.claims();
say('userinfo', { claims: await client.fetchUserInfo(config, first.access_token, sub, { DPoP }) });
say('introspection', { answer: await client.tokenIntrospection(config, first.access_token) });

const second = await refresh(first.refresh_token);
say('refresh', {
  rotated: second.refresh_token !== undefined && second.refresh_token !== first.refresh_token,
  newAccessToken: second.access_token !== first.access_token,
  sub: second.claims()?.sub ?? sub,
});
const third = await refresh(second.refresh_token);

// The first refresh token has been followed by two others: whoever brings it now is a thief, or was
// robbed. The whole family ends.
say('reuse', await refused(refresh(first.refresh_token)));
say('after reuse', await refused(refresh(third.refresh_token)));
say('introspection after reuse', {
  answer: await client.tokenIntrospection(config, third.access_token),
});

// A second sign-in, ended by its owner.
const again = await client.initiateDeviceAuthorization(config, { scope });
say('device', again);
const tokens = await poll(again);
await client.tokenRevocation(config, tokens.refresh_token);
say('after revocation', await refused(refresh(tokens.refresh_token)));
await client.tokenRevocation(config, 'never issued');

// A third one, denied.
const unwanted = await client.initiateDeviceAuthorization(config, { scope });
say('device', unwanted);
say('denied', await refused(poll(unwanted)));
say('done', {});
