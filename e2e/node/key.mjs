// A new P-256 key, private and public, as one line of JSON.

import { generateKeyPairSync } from 'node:crypto';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = (key) => ({ ...key.export({ format: 'jwk' }), kid: 'client-1', use: 'sig', alg: 'ES256' });
console.log(JSON.stringify({ private: jwk(privateKey), public: jwk(publicKey) }));
