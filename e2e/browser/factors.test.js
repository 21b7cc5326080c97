// Second factors in a real Chromium: set up, asked for, used up, taken away.
//
// The authenticator and the Yubikey are made here, from the standards, with Node's own cryptography.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createCipheriv, createHmac, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { Terminal } from "./device.js";
import { required } from "./given.js";
import { looksRight } from "./looks.js";

const ISSUER = required("ISSUER");
const PASSWORD = "a sentence nobody guesses";
const GRACE = { username: "grace", password: PASSWORD };
const HEDY = { username: "hedy", password: PASSWORD };

let browser;
let authenticator;
let codes;

before(async () => {
  browser = await launch();
  administer(["user", "add", "grace", "--name", "Grace Hopper"], `${PASSWORD}\n`);
  administer(["user", "add", "hedy"], `${PASSWORD}\n`);
});

after(() => browser?.close());

test("an authenticator is set up, by the keyboard alone", async () => {
  const person = await signedIn(GRACE);
  const { keyboard } = person.page;
  await person.open(`${ISSUER}/`);
  await person.tabTo('main a[href="/factors"]');
  await person.leads(() => keyboard.press("Enter"));
  assert.equal(await person.heading(), "Second factors");
  await looksRight(person, "factors-none");
  await person.tabTo('a[href^="/factors/totp"]');
  await person.leads(() => keyboard.press("Enter"));
  await looksRight(person, "set-up-totp");
  await person.tabTo("summary");
  await keyboard.press("Enter");
  authenticator = new Authenticator(await person.page.$eval(".secret", (node) => node.innerText));
  await person.tabTo("input[name=code]");
  await keyboard.type("000000");
  await person.leads(() => keyboard.press("Enter"), { status: 422 });
  await person.focusComesTo("input[name=code]");
  await looksRight(person, "set-up-totp-refused");
  await keyboard.type(authenticator.code());
  await person.leads(() => keyboard.press("Enter"));
  assert.equal(await person.heading(), "Your recovery codes");
  codes = await person.page.$$eval(".codes code", (nodes) => nodes.map((node) => node.textContent));
  assert.equal(new Set(codes).size, 10);
  await looksRight(person, "recovery-codes");
  await person.tabTo("main a.button");
  await person.leads(() => keyboard.press("Enter"));
  assert.equal(await person.heading(), "Second factors");
  await looksRight(person, "factors-totp");
  await person.leave();
});

test("the code is asked for after the password, with what waits behind it", async () => {
  const person = await visit();
  const terminal = await Terminal.begin(ISSUER);
  await person.open(terminal.link);
  await person.fill(GRACE);
  await person.press("Sign in");
  await person.focusComesTo("input[name=code]");
  assert.equal(await person.heading(), "Enter your code");
  await looksRight(person, "second-factor");
  await person.fill({ code: "000000" });
  await person.press("Continue", { status: 403 });
  await looksRight(person, "second-factor-refused");
  await person.fill({ code: authenticator.code(1) });
  await person.press("Continue");
  assert.equal(await person.heading(), "Approve this sign-in?");
  await person.press("Approve");
  const { body } = await terminal.poll();
  const claims = JSON.parse(Buffer.from(body.id_token.split(".")[1], "base64url").toString());
  assert.deepEqual([claims.acr, claims.amr], ["mfa", ["pwd", "otp", "mfa"]]);
  await person.leave();
});

test("a recovery code lets in once", async () => {
  const person = await visit();
  await enter(person, GRACE, codes[0].toUpperCase());
  assert.equal(await person.heading(), "Hello, Grace Hopper");
  await person.press("Sign out");
  await person.open(`${ISSUER}/sign-in`);
  await person.fill(GRACE);
  await person.press("Sign in");
  await person.fill({ code: codes[0] });
  await person.press("Continue", { status: 403 });
  await person.leave();
});

test("a Yubikey is claimed by touching it, asked for, and taken away", async () => {
  const key = new Yubikey("ccccccccchvv");
  administer(["yubikey", "import", "-", "--for", "hedy"], key.line());
  const person = await signedIn(HEDY);
  const { keyboard } = person.page;
  await person.open(`${ISSUER}/factors/yubikey?for=factors`);
  await looksRight(person, "set-up-key");
  await person.fill({ code: "123456" });
  await person.press("Set it up", { status: 422 });
  // As a key does: 44 letters and Enter.
  await person.focusComesTo("input[name=code]");
  await person.fill({ code: key.touch() });
  await person.leads(() => keyboard.press("Enter"));
  assert.equal(await person.heading(), "Your recovery codes");
  await person.leave();

  const other = await visit();
  await enter(other, HEDY, key.touch(), "second-factor-key");
  await other.open(`${ISSUER}/factors`);
  await looksRight(other, "factors-key");
  await other.leads(async () => (await other.named("main a", "Remove")).click());
  await looksRight(other, "remove-factor");
  await other.press("Remove it");
  assert.ok((await other.text()).includes("You have none yet."));
  await other.leave();
});

test("a terminal that asks for more than somebody has, and for a sign-in anew", async () => {
  const person = await signedIn(HEDY);
  const demanding = await Terminal.begin(ISSUER, { acr_values: "mfa" });
  await person.open(demanding.link);
  assert.equal(await person.heading(), "This needs a second factor");
  await looksRight(person, "unmet");
  await person.press("Tell the terminal");
  assert.equal((await demanding.poll()).body.error, "unmet_authentication_requirements");
  const fresh = await Terminal.begin(ISSUER, { max_age: "0" });
  await person.open(fresh.link);
  assert.equal(await person.heading(), "Sign in again");
  await looksRight(person, "sign-in-again");
  await person.fill({ password: PASSWORD });
  await person.press("Sign in");
  assert.equal(await person.heading(), "Approve this sign-in?");
  await person.leave();
});

// Last: it uses up the attempts of this account.
test("guessing second factors is stopped, with the time to wait", async () => {
  const person = await visit();
  await person.open(`${ISSUER}/sign-in`);
  await person.fill(GRACE);
  await person.press("Sign in");
  for (let guess = 0; guess < 6; guess += 1) {
    await person.fill({ code: "000000" });
    const button = await person.named("button", "Continue");
    person.expectedStatus = 403;
    await Promise.all([person.page.waitForNavigation({ waitUntil: "load" }), button.click()]);
    person.complaints = person.complaints.filter((line) => !line.includes("status of 429"));
    if ((await person.heading()) === "Too many wrong codes") break;
  }
  assert.match(await person.text(), /Try again in \d+ (second|minute)s?/);
  await looksRight(person, "too-many-factors");
  await person.leave();
});

async function visit() {
  return browser.person({ origin: new URL(ISSUER).origin });
}

async function signedIn(account) {
  const person = await visit();
  await person.open(`${ISSUER}/sign-in`);
  await person.fill(account);
  await person.press("Sign in");
  return person;
}

async function enter(person, account, code, picture) {
  await person.open(`${ISSUER}/sign-in`);
  await person.fill(account);
  await person.press("Sign in");
  if (picture) await looksRight(person, picture);
  await person.fill({ code });
  await person.press("Continue");
}

function administer(parameters, input) {
  execFileSync(required("ISSUER_PROGRAM"), ["--state-dir", required("ISSUER_STATE"), ...parameters], {
    input,
    stdio: ["pipe", "ignore", "ignore"],
  });
}

/** Six digits of the half minute (RFC 6238), SHA-1. */
class Authenticator {
  constructor(base32) {
    const bits = [...base32.replaceAll(/\s/g, "")].map((letter) =>
      "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
    );
    const bytes = bits.join("").match(/.{8}/g);
    this.secret = Buffer.from(bytes.map((byte) => parseInt(byte, 2)));
  }

  /** The code of so many half minutes from now: each is good once, and one ahead is taken. */
  code(ahead = 0) {
    const step = Buffer.alloc(8);
    step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
    const mac = createHmac("sha1", this.secret).update(step).digest();
    const number = mac.readUInt32BE(mac[19] & 0xf) & 0x7fffffff;
    return String(number % 1_000_000).padStart(6, "0");
  }
}

/** A key that types Yubico OTPs, which are one block of AES in modhex. */
class Yubikey {
  constructor(publicId) {
    this.publicId = publicId;
    this.privateId = randomBytes(6);
    this.aesKey = randomBytes(16);
    this.uses = 0;
  }

  line() {
    const secrets = [this.privateId, this.aesKey].map((bytes) => bytes.toString("hex"));
    return `1,${this.publicId},${secrets.join(",")},,2026-01-01T00:00:00,\n`;
  }

  touch() {
    const plain = Buffer.concat([this.privateId, Buffer.from([1, 0, 7, 7, 7, this.uses++, 5, 5])]);
    const sum = Buffer.alloc(2);
    sum.writeUInt16LE(~crc16(plain) & 0xffff);
    const cipher = createCipheriv("aes-128-ecb", this.aesKey, null).setAutoPadding(false);
    const block = cipher.update(Buffer.concat([plain, sum])).toString("hex");
    return this.publicId + block.replaceAll(/./g, (digit) => "cbdefghijklnrtuv"[parseInt(digit, 16)]);
  }
}

/** CRC-16 of ISO 13239, without its last complement. */
function crc16(bytes) {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  }
  return crc;
}
