// npm's oidc-provider on a free loopback port, as a provider that Countersign's client has to get
// along with. Prints one line of JSON when it listens, and lives until it is killed.
//
// Options are one JSON object in the first argument:
//   rotate   whether a refresh token is used once (default true)
//   resource a resource indicator that gets JWT access tokens
//   par      whether authorization requests have to be pushed (RFC 9126)
//   acr      the classes there are: who asks for one of them reaches it, and others a password
//   dpop     whether tokens are bound to a key, and proofs need a nonce (RFC 9449)

import './webcrypto.mjs';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

// Debian 12 has Node.js 18, which lacks this one function that oidc-provider calls.
URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};

const options = JSON.parse(process.argv[2] ?? '{}');

const jwk = (type, parameters, use) => ({
  ...generateKeyPairSync(type, parameters).privateKey.export({ format: 'jwk' }),
  ...use,
});

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const accounts = { ada: { name: 'Ada Lovelace', email: 'ada@example.com', email_verified: true } };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'cli',
      client_name: 'Countersign',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: [
        'authorization_code',
        'urn:ietf:params:oauth:grant-type:device_code',
        'refresh_token',
      ],
      response_types: ['code'],
      // Of a native application, and on loopback: with any port.
      redirect_uris: ['http://127.0.0.1/callback'],
      require_pushed_authorization_requests: options.par ?? false,
      dpop_bound_access_tokens: options.dpop ?? false,
      id_token_signed_response_alg: options.alg ?? 'ES256',
    },
  ],
  jwks: {
    keys: [
      jwk('rsa', { modulusLength: 2048 }, { kid: 'rsa', use: 'sig' }),
      jwk('ec', { namedCurve: 'P-256' }, { kid: 'ec', alg: 'ES256', use: 'sig' }),
      jwk('ed25519', {}, { kid: 'ed', alg: 'EdDSA', use: 'sig' }),
    ],
  },
  acrValues: options.acr ?? [],
  cookies: { keys: ['only for this test'] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'PS256', 'EdDSA'] },
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  findAccount: (_context, sub) =>
    accounts[sub] && { accountId: sub, claims: () => ({ sub, ...accounts[sub] }) },
  rotateRefreshToken: options.rotate ?? true,
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    dPoP: options.dpop
      ? { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true }
      : { enabled: true },
    pushedAuthorizationRequests: {
      enabled: true,
      requirePushedAuthorizationRequests: options.par ?? false,
    },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: options.resource !== undefined,
      getResourceServerInfo: () => ({ scope: 'read', accessTokenFormat: 'jwt' }),
      useGrantedResource: () => true,
    },
  },
  ttl: {
    AccessToken: options.accessTokenTtl ?? 600,
    DeviceCode: 600,
    Grant: 86400,
    IdToken: 600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 86400,
  },
});

// The pages for development know no second factor. Whoever signs in there has all of them at hand.
if (options.acr) {
  const finished = provider.interactionFinished.bind(provider);
  provider.interactionFinished = async (request, response, result, how) => {
    if (result.login) {
      const { params } = await provider.interactionDetails(request, response);
      const [wanted] = (params.acr_values ?? '').split(' ');
      result.login.acr = options.acr.includes(wanted) ? wanted : 'pwd';
    }
    return finished(request, response, result, how);
  };
}

// What the server itself thinks went wrong: the test prints it when it fails.
for (const event of [
  'authorization.error',
  'pushed_authorization_request.error',
  'grant.error',
  'device_authorization.error',
  'server_error',
  'userinfo.error',
]) {
  provider.on(event, (_context, error) => console.error(event, error.message, error.error_detail ?? ''));
}

server.on('request', provider.callback());
console.log(JSON.stringify({ issuer }));

// The test kills this process; should the test itself be killed, nobody else would.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(0), 1000);
