// What a person sees and can do, in a real Chromium, against a real issuer.
//
// Run by `e2e/tests/browser.rs`, which starts the issuer and says where it is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { Terminal } from "./device.js";
import { required } from "./given.js";
import { looksRight } from "./looks.js";

const ISSUER = required("ISSUER");
const SETUP = required("SETUP_LINK");
const ADA = { username: "ada", password: "a sentence nobody guesses" };

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

test("the set-up link makes the first account, once", async () => {
  const person = await visit();
  await person.open(SETUP);
  await looksRight(person, "setup");
  await person.fill({ ...ADA, repeated: "something else entirely", name: "Ada Lovelace" });
  await person.press("Create the account", { status: 422 });
  await looksRight(person, "setup-refused");
  await person.fill({ password: ADA.password, repeated: ADA.password, email: "ada@example.com" });
  await person.press("Create the account");
  assert.equal(await person.heading(), "Hello, Ada Lovelace");
  await looksRight(person, "home");
  await person.open(SETUP, { status: 404 });
  assert.equal(await person.heading(), "This link is no longer valid");
  await looksRight(person, "setup-used");
  await person.leave();
});

test("a code is typed, the sign-in asked for, the request shown and approved", async () => {
  const person = await visit();
  const terminal = await Terminal.begin(ISSUER, {
    countersign_host: "ada-laptop",
    countersign_command: "countersign login",
  });
  await person.open(ISSUER);
  await looksRight(person, "welcome");
  await person.open(terminal.address);
  await looksRight(person, "device");
  await person.fill({ user_code: terminal.code.replace("-", " ").toLowerCase() });
  await person.press("Continue");
  assert.equal(await person.heading(), "Sign in");
  await looksRight(person, "sign-in");
  await person.fill({ username: "ada", password: "not the password" });
  await person.press("Sign in", { status: 403 });
  await looksRight(person, "sign-in-refused");
  await person.fill(ADA);
  await person.press("Sign in");
  assert.equal(await person.heading(), "Approve this sign-in?");
  const shown = await person.text();
  const parts = ["cli", "Ada Lovelace", "See your email address", "127.0.0.1", "ada-laptop", "claimed"];
  for (const part of [terminal.code, ...parts]) {
    assert.ok(shown.includes(part), `the confirmation shows ${part}:\n${shown}`);
  }
  await looksRight(person, "confirm");
  assert.equal((await terminal.poll()).body.error, "authorization_pending");
  await person.press("Approve");
  assert.equal(await person.heading(), "Approved");
  await looksRight(person, "approved");
  await person.page.reload();
  assert.equal(await person.heading(), "Approved");
  await person.leave();
});

test("the device gets its tokens after the approval and not before", async () => {
  const person = await signedIn();
  const terminal = await Terminal.begin(ISSUER);
  await person.open(terminal.link);
  await person.press("Approve");
  const { status, body } = await terminal.poll();
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(body.access_token && body.id_token && body.refresh_token);
  await person.leave();
});

test("a link with the code skips the typing and never the confirmation", async () => {
  const person = await signedIn();
  const terminal = await Terminal.begin(ISSUER);
  for (let visits = 0; visits < 3; visits += 1) {
    await person.open(terminal.link);
    assert.equal(await person.heading(), "Approve this sign-in?");
  }
  assert.equal((await terminal.poll()).body.error, "authorization_pending");
  await person.leave();
});

test("a login is denied, and the device is told", async () => {
  const person = await signedIn();
  const terminal = await Terminal.begin(ISSUER);
  await person.open(terminal.link);
  await person.press("Deny");
  assert.equal(await person.heading(), "Denied");
  await looksRight(person, "denied");
  assert.equal((await terminal.poll()).body.error, "access_denied");
  await person.open(terminal.link, { status: 410 });
  assert.equal(await person.heading(), "This code was used already");
  await looksRight(person, "used-code");
  await person.leave();
});

test("what a stranger makes up cannot break the page or leave its place", async () => {
  const person = await signedIn();
  const terminal = await Terminal.begin(ISSUER, {
    countersign_host: "x".repeat(200),
    countersign_command: `"><img src=//evil.example/x><script>alert(1)</script>${"W".repeat(140)}`,
  });
  await person.open(terminal.link);
  assert.ok((await person.text()).includes("<script>alert(1)</script>"), "shown as text");
  await looksRight(person, "confirm-hostile");
  await person.press("Deny");
  await person.leave();
});

test("who is not the account shown can change it without losing the request", async () => {
  const person = await signedIn();
  const terminal = await Terminal.begin(ISSUER);
  await person.open(terminal.link);
  await person.press("Not you?");
  assert.equal(await person.heading(), "Sign in");
  await person.fill(ADA);
  await person.press("Sign in");
  assert.equal(await person.heading(), "Approve this sign-in?");
  assert.ok((await person.text()).includes(terminal.code));
  await person.leave();
});

test("the keyboard alone is enough", async () => {
  const person = await visit();
  const { keyboard } = person.page;
  const terminal = await Terminal.begin(ISSUER);
  const enter = () => keyboard.press("Enter");
  await person.open(terminal.address);
  await person.focusComesTo("input[name=user_code]");
  await keyboard.type(terminal.code);
  await person.leads(enter);
  await person.focusComesTo("input[name=username]");
  await keyboard.type(ADA.username);
  await person.tabTo("input[name=password]");
  await keyboard.type(ADA.password);
  await person.leads(enter);
  assert.equal(await person.heading(), "Approve this sign-in?");
  // Nothing decides by itself when Enter is pressed too soon.
  await keyboard.press("Enter");
  assert.equal((await terminal.poll()).body.error, "authorization_pending");
  await person.tabTo("button[value=approve]");
  await person.leads(() => keyboard.press("Space"));
  assert.equal(await person.heading(), "Approved");
  await person.leave();
});

test("a browser that may run scripts sees the same pages", async () => {
  const person = await visit({ script: true });
  const terminal = await Terminal.begin(ISSUER);
  await person.open(terminal.link);
  await person.fill(ADA);
  await person.press("Sign in");
  await person.press("Approve");
  assert.equal(await person.heading(), "Approved");
  assert.equal(await person.page.$("script"), null);
  await person.leave();
});

test("signing out ends the session for every copy of its cookie", async () => {
  const person = await signedIn();
  const cookies = await person.context.cookies();
  assert.equal(cookies.length, 1);
  assert.deepEqual([cookies[0].httpOnly, cookies[0].sameSite], [true, "Lax"]);
  await person.open(ISSUER);
  await person.press("Sign out");
  assert.equal(await person.heading(), "Sign in from a terminal");
  await person.context.setCookie(...cookies);
  await person.open(ISSUER);
  assert.equal(await person.heading(), "Sign in from a terminal");
  await person.leave();
});

test("what is not there is said plainly", async () => {
  const person = await visit();
  await person.open(`${ISSUER}/nothing/here`, { status: 404 });
  await looksRight(person, "not-found");
  await person.open(`${ISSUER}/device?user_code=AEIOU`, { status: 400 });
  await looksRight(person, "not-a-code");
  await person.leave();
});

// Last: it uses up the guesses of this address.
test("guessing codes is stopped, with the time to wait", async () => {
  const person = await signedIn();
  let stopped = false;
  for (let guess = 0; guess < 12 && !stopped; guess += 1) {
    person.expectedStatus = 404;
    const response = await person.page.goto(`${ISSUER}/device?user_code=BBBB-BBB${"BCDFGHJKLMNP"[guess]}`);
    stopped = response.status() === 429;
    if (guess === 0) await looksRight(person, "unknown-code");
    if (stopped) assert.ok(Number(response.headers()["retry-after"]) > 0);
    person.complaints = person.complaints.filter((line) => !line.includes("status of 429"));
  }
  assert.ok(stopped, "the guesses were limited");
  assert.match(await person.text(), /Try again in \d+ (second|minute)s?/);
  await looksRight(person, "too-many-codes");
  await person.leave();
});

async function visit(options = {}) {
  return browser.person({ origin: new URL(ISSUER).origin, ...options });
}

async function signedIn() {
  const person = await visit();
  await person.open(`${ISSUER}/sign-in`);
  await person.fill(ADA);
  await person.press("Sign in");
  return person;
}
