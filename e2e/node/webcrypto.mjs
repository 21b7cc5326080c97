// Debian 12 has Node 18, where the Web Crypto API exists and is no global yet. Both strangers need
// it as one. To be imported before them.
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;
