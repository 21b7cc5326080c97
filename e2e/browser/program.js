// A program on the person's machine that signs in through the browser: a listener on loopback, a
// request with PKCE, and the exchange of the code by plain HTTP (RFC 8252, section 7.3; RFC 7636).
//
// It shows what arrived as its own page and answers everything else with nothing.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";

const PAGE = `<!doctype html><html lang="en"><title>The program</title><main><h1>Back in the program</h1></main></html>`;

export class LoopbackProgram {
  /**
   * Listens at `host`. `then` is where its answer leads the browser on to; with `stay` it has none, and
   * the browser stays at the page it was on.
   */
  static async begin(issuer, { client = "cli", host = "127.0.0.1", then, stay = false } = {}) {
    const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
    const program = new LoopbackProgram(metadata, client);
    program.server = createServer((request, response) => program.#receive(request, response, { then, stay }));
    await new Promise((ready) => program.server.listen(0, host.replace(/[[\]]/g, ""), ready));
    // A test that fails must not keep the process.
    program.server.unref();
    program.origin = `http://${host}:${program.server.address().port}`;
    program.redirectUri = `${program.origin}/callback`;
    return program;
  }

  constructor(metadata, client) {
    this.metadata = metadata;
    this.client = client;
    this.verifier = random();
    this.state = random();
    this.nonce = random();
    this.arrived = new Promise((arrive) => (this.arrive = arrive));
  }

  #receive(request, response, { then, stay }) {
    const url = new URL(request.url, this.origin);
    if (url.pathname !== "/callback") {
      response.writeHead(204).end();
      return;
    }
    this.arrive({ parameters: Object.fromEntries(url.searchParams), headers: request.headers });
    if (stay) response.writeHead(204).end();
    else if (then) response.writeHead(303, { location: then }).end();
    else response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(PAGE);
  }

  /** The address to open, with other or more parameters. */
  url(parameters = {}) {
    const url = new URL(this.metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: this.client,
      redirect_uri: this.redirectUri,
      scope: "openid profile email offline_access",
      state: this.state,
      nonce: this.nonce,
      code_challenge: createHash("sha256").update(this.verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...parameters,
    });
    return url.href;
  }

  /** What the browser brought, after checking what is true of every answer (RFC 9207). */
  async answer() {
    const { parameters, headers } = await this.arrived;
    assert.equal(parameters.state, this.state);
    assert.equal(parameters.iss, this.metadata.issuer);
    assert.equal(headers.referer, undefined, "nothing is told about the page before");
    return parameters;
  }

  async redeem(code) {
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      client_id: this.client,
      code,
      redirect_uri: this.redirectUri,
      code_verifier: this.verifier,
    });
    const response = await fetch(this.metadata.token_endpoint, { method: "POST", body });
    return { status: response.status, body: await response.json() };
  }

  end() {
    this.server.closeAllConnections?.();
    return new Promise((ended) => this.server.close(ended));
  }
}

function random() {
  return randomBytes(32).toString("base64url");
}
