// npm's openid-client as a program that acts for itself at countersign-issuer: it signs assertions,
// gets tokens in its own name (RFC 6749, section 4.4), bound to a key (RFC 9449), asks about them and
// ends them. Prints one line of JSON per step; the test judges the lines.
//
// Options are one JSON object in the first argument: issuer, clientId, key (a private JWK), scope.

import './webcrypto.mjs';
import * as client from 'openid-client';

const options = JSON.parse(process.argv[2]);
const say = (step, facts) => console.log(JSON.stringify({ step, ...facts }));

const refused = async (promise) => {
  try {
    return { accepted: await promise };
  } catch (error) {
    return { error: error.error ?? error.message, status: error.status ?? error.cause?.status };
  }
};

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
const key = await crypto.subtle.importKey('jwk', options.key, algorithm, false, ['sign']);
const config = await client.discovery(
  new URL(options.issuer),
  options.clientId,
  undefined,
  client.PrivateKeyJwt({ key, kid: options.key.kid }),
  { execute: [client.allowInsecureRequests] },
);
const { userinfo_endpoint: userinfo, token_endpoint: tokenEndpoint } = config.serverMetadata();
const ownKey = async () => client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));

const bearer = await client.clientCredentialsGrant(config, { scope: options.scope });
say('bearer', { tokenType: bearer.token_type, scope: bearer.scope, more: Object.keys(bearer) });

const DPoP = await ownKey();
const bound = await client.clientCredentialsGrant(config, { scope: options.scope }, { DPoP });
say('bound', { tokenType: bound.token_type });
say('introspection', { answer: await client.tokenIntrospection(config, bound.access_token) });

say('another scope', await refused(client.clientCredentialsGrant(config, { scope: 'admin' })));
say('a scope about people', await refused(client.clientCredentialsGrant(config, { scope: 'openid' })));

/** What a protected resource makes of the token: here the one that the issuer has itself. */
const present = async (handle) => {
  const url = new URL(userinfo);
  try {
    const response = await client.fetchProtectedResource(
      config, bound.access_token, url, 'GET', null, undefined, { DPoP: handle },
    );
    return { status: response.status };
  } catch (error) {
    const [challenge] = error.cause ?? [];
    return { status: error.status, scheme: challenge?.scheme, ...challenge?.parameters };
  }
};
say('presented', await present(DPoP));
say('presented by another', await present(await ownKey()));
const asBearer = await fetch(userinfo, {
  headers: { authorization: `Bearer ${bound.access_token}` },
});
say('presented as a bearer', {
  status: asBearer.status,
  challenge: asBearer.headers.get('www-authenticate'),
});

// The same assertion a second time, as somebody would who has seen the request.
let seen;
config[client.customFetch] = (url, request) => {
  if (url === tokenEndpoint) seen = request;
  return fetch(url, request);
};
await client.clientCredentialsGrant(config, { scope: options.scope });
const { method, headers, body } = seen;
const again = await fetch(tokenEndpoint, { method, headers, body: body.toString() });
say('assertion again', { status: again.status, ...(await again.json()) });

await client.tokenRevocation(config, bound.access_token);
say('after revocation', { answer: await client.tokenIntrospection(config, bound.access_token) });
say('done', {});
