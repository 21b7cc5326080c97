// npm's openid-client as a service at countersign-issuer: it exchanges the token that it was sent for one
// of the next service (RFC 8693), and asks what became of it. Prints one line of JSON per step; the test
// judges the lines.
//
// Options are one JSON object in the first argument: issuer, clientId, clientSecret, subjectToken,
// resource. They hold secrets of this test alone.

import './webcrypto.mjs';
import * as client from 'openid-client';

const options = JSON.parse(process.argv[2]);
const say = (step, facts) => console.log(JSON.stringify({ step, ...facts }));

const config = await client.discovery(
  new URL(options.issuer),
  options.clientId,
  undefined,
  client.ClientSecretBasic(options.clientSecret),
  { execute: [client.allowInsecureRequests] },
);
const grant = 'urn:ietf:params:oauth:grant-type:token-exchange';
say('metadata', { offered: config.serverMetadata().grant_types_supported.includes(grant) });

const exchange = (more) => client.genericGrantRequest(config, grant, {
  subject_token: options.subjectToken,
  subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  ...more,
});
const refused = async (promise) => {
  try {
    return { accepted: await promise };
  } catch (error) {
    return { error: error.error ?? error.message, status: error.status };
  }
};

const tokens = await exchange({ resource: options.resource });
say('exchanged', { type: tokens.issued_token_type, more: Object.keys(tokens) });
say('introspection', { answer: await client.tokenIntrospection(config, tokens.access_token) });
say('another resource', await refused(exchange({ resource: 'https://elsewhere.example' })));
say('another scope', await refused(exchange({ resource: options.resource, scope: 'admin' })));
say('its own result', await refused(exchange({
  subject_token: tokens.access_token, resource: options.resource,
})));
say('done', {});
