// A program asks for a code: what the person sees and can do meanwhile, in a real Chromium.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { required } from "./given.js";
import { looksRight } from "./looks.js";
import { LoopbackProgram } from "./program.js";

const ISSUER = required("ISSUER");
const SETUP = required("SETUP_LINK");
const ADA = { username: "ada", password: "a sentence nobody guesses" };

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

test("somebody signs in, sees who asks for what, and approves", async () => {
  await firstAccount();
  const person = await visit();
  const program = await LoopbackProgram.begin(ISSUER);
  await person.open(program.url({ login_hint: "ada" }));
  assert.equal(await person.heading(), "Sign in");
  assert.ok((await person.text()).includes("Countersign CLI (development)"));
  await looksRight(person, "code-sign-in");
  await person.fill({ password: ADA.password });
  await person.press("Sign in");
  assert.equal(await person.heading(), "Approve this sign-in?");
  const shown = await person.text();
  for (const part of ["Countersign CLI", "cli", "Ada Lovelace", "See your email address", "a program on this computer", new URL(program.origin).host]) {
    assert.ok(shown.includes(part), `the page shows ${part}:\n${shown}`);
  }
  await looksRight(person, "consent");
  await goesBack(person, () => click(person, "Approve"));
  const { code, error } = await program.answer();
  assert.equal(error, undefined);
  const { status, body } = await program.redeem(code);
  assert.equal(status, 200, JSON.stringify(body));
  const claims = JSON.parse(Buffer.from(body.id_token.split(".")[1], "base64url"));
  assert.equal(claims.nonce, program.nonce);
  assert.ok(body.refresh_token);
  await program.end();
  await person.leave();
});

test("a login is denied, and the program is told", async () => {
  const person = await signedIn();
  const program = await LoopbackProgram.begin(ISSUER);
  await person.open(program.url());
  await goesBack(person, () => click(person, "Deny"));
  const { code, error } = await program.answer();
  assert.deepEqual({ code, error }, { code: undefined, error: "access_denied" });
  await program.end();
  await person.leave();
});

// A policy cannot name [::1], and Chromium holds form-action against everything that follows a form.
for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
  test(`the browser gets back to a program at ${host}, wherever that leads on to`, async () => {
    const person = await signedIn();
    const elsewhere = await LoopbackProgram.begin(ISSUER);
    const program = await LoopbackProgram.begin(ISSUER, { host, then: elsewhere.redirectUri });
    await person.open(program.url());
    await goesBack(person, () => click(person, "Approve"));
    assert.ok(person.page.url().startsWith(elsewhere.origin));
    assert.equal((await program.redeem((await program.answer()).code)).status, 200);
    await program.end();
    await elsewhere.end();
    await person.leave();
  });
}

test("the page that goes back says where to, for browsers that stay", async () => {
  for (const [button, heading] of [["Approve", "Approved"], ["Deny", "Denied"]]) {
    const person = await signedIn();
    const program = await LoopbackProgram.begin(ISSUER, { stay: true });
    await person.open(program.url());
    const decided = person.page.waitForResponse((response) => response.url().endsWith("/authorize/decision"));
    await person.press(button);
    const { refresh, "content-security-policy": policy } = (await decided).headers();
    assert.ok(refresh.startsWith(`0;url=${program.redirectUri}?`), refresh);
    assert.ok(policy.includes("form-action 'self';"), policy);
    await program.answer();
    await comesTo(person, heading);
    assert.ok((await person.text()).includes(new URL(program.origin).host));
    await looksRight(person, `leave-${heading.toLowerCase()}`);
    // The link is the same address.
    assert.equal(await person.page.$eval("main a", (link) => link.href), refresh.slice("0;url=".length));
    await program.end();
    // What a browser says when the answer to a navigation is nothing.
    const nothing = `failed request: ${program.redirectUri}`;
    person.complaints = person.complaints.filter((line) => !line.startsWith(nothing));
    await person.leave();
  }
});

test("what a stranger makes up cannot break the pages", async () => {
  const person = await visit();
  const program = await LoopbackProgram.begin(ISSUER);
  const hostile = `"><img src=//evil.example/x><script>alert(1)</script>`;
  await person.open(program.url({ login_hint: hostile, state: hostile, ui_locales: hostile, x: hostile }));
  assert.equal(await person.page.$eval("input[name=username]", (input) => input.value), hostile);
  await looksRight(person, "code-sign-in-hostile");
  await person.fill(ADA);
  await person.press("Sign in");
  assert.equal(await person.page.$("img, script"), null);
  await program.end();
  await person.leave();
});

test("what cannot be answered to the program is told here", async () => {
  const person = await visit();
  const program = await LoopbackProgram.begin(ISSUER);
  await person.open(program.url({ redirect_uri: "https://evil.example/callback" }), { status: 400 });
  assert.equal(await person.heading(), "This sign-in cannot go on");
  await looksRight(person, "authorize-error");
  await program.end();
  await person.leave();
});

test("what is wrong otherwise is told to the program at once", async () => {
  const person = await visit();
  const program = await LoopbackProgram.begin(ISSUER);
  await person.open(program.url({ code_challenge_method: "plain" }));
  assert.equal(await person.heading(), "Back in the program");
  assert.equal((await program.answer()).error, "invalid_request");
  await program.end();
  await person.leave();
});

test("the request is posted from another site's page and loses nobody's session", async () => {
  const person = await signedIn();
  const program = await LoopbackProgram.begin(ISSUER);
  const fields = [...new URL(program.url()).searchParams].map(([name, value]) => `<input name="${name}" value="${value}">`);
  const form = `<form method="post" action="${program.metadata.authorization_endpoint}">${fields.join("")}<button>Go</button></form>`;
  await person.page.setContent(form);
  await person.press("Go");
  assert.equal(await person.heading(), "Approve this sign-in?");
  await program.end();
  await person.leave();
});

test("who is signed in is asked for the password again when the program wants it", async () => {
  const person = await signedIn();
  const program = await LoopbackProgram.begin(ISSUER);
  await person.open(program.url({ prompt: "login" }));
  assert.equal(await person.heading(), "Sign in again");
  await looksRight(person, "code-sign-in-again");
  await person.fill({ password: ADA.password });
  await person.press("Sign in");
  assert.equal(await person.heading(), "Approve this sign-in?");
  await program.end();
  await person.leave();
});

test("who is not the account shown can change it without losing the request", async () => {
  const person = await signedIn();
  const program = await LoopbackProgram.begin(ISSUER);
  await person.open(program.url({ prompt: "select_account" }));
  await person.press("Not you?");
  assert.equal(await person.heading(), "Sign in");
  await person.fill(ADA);
  await person.press("Sign in");
  await goesBack(person, () => click(person, "Approve"));
  assert.ok((await program.answer()).code);
  await program.end();
  await person.leave();
});

test("the keyboard alone is enough to approve, and Enter pressed too soon decides nothing", async () => {
  const person = await visit();
  const { keyboard } = person.page;
  const program = await LoopbackProgram.begin(ISSUER);
  await person.open(program.url());
  await person.focusComesTo("input[name=username]");
  await keyboard.type(ADA.username);
  await person.tabTo("input[name=password]");
  await keyboard.type(ADA.password);
  await person.leads(() => keyboard.press("Enter"));
  assert.equal(await person.heading(), "Approve this sign-in?");
  await keyboard.press("Enter");
  assert.equal(await person.heading(), "Approve this sign-in?");
  await person.tabTo("button[value=approve]");
  await goesBack(person, () => keyboard.press("Space"));
  assert.ok((await program.answer()).code);
  await program.end();
  await person.leave();
});

test("an application signs its person out, who confirms and goes back", async () => {
  const person = await signedIn();
  const program = await LoopbackProgram.begin(ISSUER, { client: "web" });
  register("web", "--name", "Web", "--redirect-uri", program.redirectUri, "--post-logout-redirect-uri", program.redirectUri);
  await person.open(program.url());
  await goesBack(person, () => click(person, "Approve"));
  const { body } = await program.redeem((await program.answer()).code);
  const url = new URL(program.metadata.end_session_endpoint);
  url.search = new URLSearchParams({
    id_token_hint: body.id_token,
    post_logout_redirect_uri: program.redirectUri,
    state: "bye",
  });
  await person.open(url.href);
  assert.equal(await person.heading(), "Sign out of this browser?");
  assert.ok((await person.text()).includes("Web asks that you be signed out"));
  await looksRight(person, "sign-out");
  await person.press("Stay signed in");
  assert.equal(await person.heading(), "Hello, Ada Lovelace");
  await person.open(url.href);
  await person.tabTo("button[value=sign-out]");
  await goesBack(person, () => person.page.keyboard.press("Enter"));
  assert.equal(new URL(person.page.url()).search, "?state=bye");
  await person.open(`${ISSUER}/device`);
  assert.ok(!(await person.page.$eval("body", (body) => body.innerText)).includes("Signed in as"));
  await program.end();
  await person.leave();
});

test("whoever is signed out by nobody in particular stays here and is told", async () => {
  const person = await signedIn();
  await person.open(`${ISSUER}/end_session`);
  await person.press("Sign out");
  assert.equal(await person.heading(), "You are signed out");
  await looksRight(person, "signed-out");
  await person.open(`${ISSUER}/end_session?id_token_hint=nonsense`, { status: 400 });
  assert.equal(await person.heading(), "You were not signed out");
  await looksRight(person, "sign-out-error");
  await person.leave();
});

/** Makes the first account, unless another file has made it. */
async function firstAccount() {
  const person = await browser.person({ anyLoopback: true, anyStatus: true });
  const page = await person.page.goto(SETUP);
  if (page.status() === 200) {
    await person.fill({ ...ADA, repeated: ADA.password, name: "Ada Lovelace", email: "ada@example.com" });
    await person.press("Create the account");
  }
  await person.leave();
}

async function visit() {
  return browser.person({ anyLoopback: true });
}

async function signedIn() {
  const person = await visit();
  await person.open(`${ISSUER}/sign-in`);
  await person.fill(ADA);
  await person.press("Sign in");
  return person;
}

/** Presses a button whose page does not stay long enough to be looked at. */
async function click(person, text) {
  await (await person.named("button", text)).click();
}

/** Does `act` and waits until the browser has come back to the program by itself. */
async function goesBack(person, act) {
  await act();
  await comesTo(person, "Back in the program");
}

/** Waits for the page with this heading. */
async function comesTo(person, wanted) {
  for (let looks = 0; looks < 400; looks += 1) {
    // Between two pages there is none to ask.
    const heading = await person.heading().catch(() => undefined);
    if (heading === wanted) return;
    await new Promise((wake) => setTimeout(wake, 25));
  }
  throw new Error(`the browser stays at ${person.page.url()}`);
}

/** Registers a client, as whoever looks after the issuer does. */
function register(...parameters) {
  execFileSync(required("ISSUER_PROGRAM"), ["--state-dir", required("ISSUER_STATE"), "client", "add", ...parameters], {
    stdio: "ignore",
  });
}
