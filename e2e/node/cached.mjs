// npm's openid-client with a token that was kept, as its documentation has programs do it: the answer
// of the token endpoint is read from a file, asked how long it is good, and used.
//
// Arguments: the file, and the issuer.

import './webcrypto.mjs';
import { readFile } from 'node:fs/promises';
import * as client from 'openid-client';

const [file, issuer] = process.argv.slice(2);
const kept = JSON.parse(await readFile(file, 'utf8'));
const server = { issuer, token_endpoint: `${issuer}/token` };
const config = new client.Configuration(server, 'cli', undefined, client.None());
const tokens =
  kept.expires_at * 1000 > Date.now()
    ? kept
    : await client.refreshTokenGrant(config, kept.refresh_token);
console.log(tokens.access_token);
