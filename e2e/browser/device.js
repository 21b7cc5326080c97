// The terminal's side of a device login, by plain HTTP (RFC 8628, sections 3.1 and 3.4).

import assert from "node:assert/strict";

const GRANT = "urn:ietf:params:oauth:grant-type:device_code";

export class Terminal {
  static async begin(issuer, parameters = {}) {
    const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
    const response = await post(metadata.device_authorization_endpoint, {
      client_id: "cli",
      scope: "openid profile email offline_access",
      ...parameters,
    });
    assert.equal(response.status, 200, JSON.stringify(response.body));
    return new Terminal(metadata, response.body);
  }

  constructor(metadata, authorization) {
    this.metadata = metadata;
    this.code = authorization.user_code;
    this.address = authorization.verification_uri;
    this.link = authorization.verification_uri_complete;
    this.authorization = authorization;
  }

  /** One poll: what the token endpoint says now. */
  poll() {
    return post(this.metadata.token_endpoint, {
      grant_type: GRANT,
      client_id: "cli",
      device_code: this.authorization.device_code,
    });
  }
}

async function post(url, parameters) {
  const response = await fetch(url, { method: "POST", body: new URLSearchParams(parameters) });
  return { status: response.status, body: await response.json() };
}
