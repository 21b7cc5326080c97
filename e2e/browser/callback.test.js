// `docs/callback/index.html` in a real Chromium: the page behind a redirect URI that only shows the
// code, on a static host.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { looksRight } from "./looks.js";

const PAGE = await readFile(new URL("../../docs/callback/index.html", import.meta.url), "utf8");
const CODE = "SplxlOBeZQQYbYS6WxSbIA.~_-+/=";
const HOSTILE = `"><img src=x onerror=alert(1)><script>alert(2)</script>javascript:alert(3)`;

let browser;
let host;
let asked = [];

before(async () => {
  browser = await launch();
  // A static host: one file, no header of its own, and a list of what was asked for.
  host = createServer((request, response) => {
    asked.push(request.url);
    const known = new URL(request.url, "http://host").pathname === "/callback/";
    response.writeHead(known ? 200 : 404, { "content-type": known ? "text/html" : "text/plain" });
    response.end(known ? PAGE : "not here");
  });
  await new Promise((listening) => host.listen(0, "127.0.0.1", listening));
});

after(async () => {
  await browser?.close();
  host?.close();
  host?.closeAllConnections();
});

test("the hashes in the policy are those of the style and the script", () => {
  for (const [element, directive] of [["script", "script-src"], ["style", "style-src"]]) {
    const [, text] = PAGE.match(new RegExp(`<${element}>(.*)</${element}>`, "s"));
    const hash = createHash("sha256").update(text).digest("base64");
    assert.ok(PAGE.includes(`${directive} 'sha256-${hash}';`), `the policy must say ${directive} 'sha256-${hash}'`);
  }
  assert.doesNotMatch(PAGE, /https?:/, "an address of another host");
});

test("the code is shown, and no longer in the address or the history", async () => {
  const person = await visit();
  const address = answer({ code: CODE, state: "af0ifjsldkj", iss: "https://id.example.com" });
  await person.open(address);
  assert.equal(await person.heading(), "One step left");
  assert.equal(await person.page.$eval("#code", (node) => node.textContent), CODE);
  await looksRight(person, "callback-code");
  assert.equal(person.page.url(), `${origin()}/callback/`);
  const protocol = await person.page.createCDPSession();
  const { entries } = await protocol.send("Page.getNavigationHistory");
  assert.ok(entries.every(({ url, title }) => !`${url} ${title}`.includes("Splxl")), JSON.stringify(entries));
  assert.deepEqual(await stored(person), { cookies: 0, local: 0, session: 0 });
  // Nothing was asked for but the page, and what the browser itself looks for.
  const others = asked.filter((url) => !url.startsWith("/callback/?"));
  assert.deepEqual(others, []);
  await person.page.reload({ waitUntil: "load" });
  assert.equal(await person.heading(), "There is nothing here");
  await looksRight(person, "callback-nothing");
  await person.leave();
});

test("the button copies the whole address, with state and iss", async () => {
  const person = await visit();
  const address = answer({ code: CODE, state: "af0ifjsldkj", iss: "https://id.example.com" });
  await person.context.overridePermissions(origin(), ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
  await person.open(`${address}#fragment`);
  await person.page.click("#answer [data-copy]");
  await told(person, "Copied. Go back to the terminal, paste it there and press Enter.");
  assert.equal(await person.page.evaluate(() => navigator.clipboard.readText()), address);
  await looksRight(person, "callback-copied");
  await person.leave();
});

test("a browser that denies the clipboard still copies", async () => {
  const person = await visit();
  const address = answer({ code: CODE, state: "s" });
  await person.open(address);
  await person.page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    document.addEventListener("copy", (event) => (window.copied = event.clipboardData));
    // Runs after the page's own listener, which is what is looked at.
    document.addEventListener("copy", (event) => setTimeout(() => (window.prevented = event.defaultPrevented)));
  });
  await person.page.click("#answer [data-copy]");
  await told(person, "Copied. Go back to the terminal, paste it there and press Enter.");
  await person.page.waitForFunction(() => window.prevented === true);
  await person.leave();
});

test("where nothing can be copied the code is marked, and the page says so", async () => {
  const person = await visit();
  await person.open(answer({ code: CODE, state: "s" }));
  await person.page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    document.execCommand = () => false;
  });
  await person.page.click("#answer [data-copy]");
  await told(person, "This browser does not let the page copy. Mark the code and copy it yourself.");
  assert.equal(await person.page.evaluate(() => getSelection().toString()), CODE);
  await person.leave();
});

test("an error is shown in plain words, with the server's own beside them", async () => {
  const person = await visit();
  const description = "AADSTS53003: Access has been blocked by Conditional Access policies.";
  await person.open(answer({ error: "access_denied", error_description: description, state: "s" }));
  assert.equal(await person.heading(), "You were not signed in");
  const text = await person.text();
  for (const part of ["The sign-in was declined", "access_denied", description]) {
    assert.ok(text.includes(part), `${part} in ${text}`);
  }
  await looksRight(person, "callback-error");
  await person.open(answer({ error: "x_new", state: "s" }));
  assert.match(await person.text(), /The server refused\.[^]*x_new\n/);
  assert.equal(await person.page.$eval("#described", (node) => node.hidden), true);
  await person.leave();
});

test("hostile parameters are text", async () => {
  const person = await visit();
  person.page.on("dialog", () => person.complaints.push("a dialog"));
  await person.open(answer({ code: HOSTILE, state: HOSTILE }));
  assert.equal(await person.page.$eval("#code", (node) => node.textContent), HOSTILE);
  const reason = `${HOSTILE}\u202egnp.exe\u0007\r\n\u200b${"W".repeat(4000)}`;
  await person.open(answer({ error: HOSTILE, error_description: reason }));
  const shown = await person.page.$eval("#description", (node) => node.textContent);
  assert.ok(shown.startsWith(`${HOSTILE} gnp.exe W`), shown);
  assert.equal(shown.length, 300);
  await looksRight(person, "callback-hostile");
  // Nothing in the page leads anywhere, and nothing was added to it.
  assert.equal(await person.page.$("a, img, iframe, form, object, embed, base"), null);
  assert.equal((await person.page.$$("script")).length, 1);
  await person.leave();
});

test("what is no answer is not shown as one", async () => {
  const person = await visit();
  const queries = [
    "",
    "?state=s",
    "?code=",
    "?code=a&code=b",
    "?code=a&error=access_denied",
    "?error=a&error=b",
    "?code=a%0Ab",
    "?code=%C3%A4",
    `?code=${"a".repeat(9000)}`,
    "?redirect=https://evil.example&url=//evil.example&next=javascript:alert(1)",
  ];
  for (const query of queries) {
    await person.open(`${origin()}/callback/${query}`);
    assert.equal(await person.heading(), "There is nothing here", query.slice(0, 60));
    assert.equal(person.page.url(), `${origin()}/callback/`);
  }
  await person.leave();
});

test("a code of two kilobytes, as Entra's are, can be read on a telephone", async () => {
  const person = await visit();
  const long = `1.AXoA${"x9-_".repeat(500)}`;
  await person.open(answer({ code: long, state: "s", session_state: "t" }));
  assert.equal(await person.page.$eval("#code", (node) => node.textContent), long);
  await looksRight(person, "callback-long");
  await person.leave();
});

test("inside another page it shows nothing", async () => {
  const person = await visit();
  await person.open(`${origin()}/callback/`);
  const inner = answer({ code: CODE, state: "s" });
  // The page's own policy forbids frames, so the frame is put into an empty page of the same origin.
  await person.open(`${origin()}/elsewhere`, { status: 404 });
  await person.page.evaluate((source) => {
    const frame = document.createElement("iframe");
    frame.src = source;
    document.body.append(frame);
    return new Promise((loaded) => frame.addEventListener("load", loaded));
  }, inner);
  const [, frame] = person.page.frames();
  const text = await frame.$eval("main", (node) => node.innerText);
  assert.ok(text.startsWith("This page stands in another"), text);
  assert.ok(!text.includes(CODE));
  await person.leave();
});

test("without scripts it says what to do by hand", async () => {
  const person = await visit({ script: false });
  const address = answer({ code: CODE, state: "s" });
  await person.open(address);
  assert.equal(await person.heading(), "One step left");
  assert.match(await person.text(), /Copy the whole address of this page from the address bar/);
  assert.equal(person.page.url(), address, "the address is still there to be copied");
  await looksRight(person, "callback-by-hand");
  await person.leave();
});

test("the keyboard alone is enough for the copy", async () => {
  const person = await visit();
  await person.context.overridePermissions(origin(), ["clipboard-write", "clipboard-sanitized-write"]);
  await person.open(answer({ code: CODE, state: "s" }));
  await person.tabTo("#code");
  await person.tabTo("#answer [data-copy]");
  await person.page.keyboard.press("Enter");
  await told(person, "Copied. Go back to the terminal, paste it there and press Enter.");
  await person.leave();
});

async function visit(options = {}) {
  asked = [];
  return browser.person({ origin: origin(), script: true, ...options });
}

function origin() {
  return `http://127.0.0.1:${host.address().port}`;
}

/** The address to which a server sends the person back. */
function answer(parameters) {
  return `${origin()}/callback/?${new URLSearchParams(parameters)}`;
}

/** Waits for the page to say this to those who cannot see it as well. */
async function told(person, words) {
  await person.page.waitForFunction(
    (wanted) => [...document.querySelectorAll("section:not([hidden]) [role=status]")].some((node) => node.textContent === wanted),
    { timeout: 10_000 },
    words,
  );
}

async function stored(person) {
  const cookies = (await person.context.cookies()).length;
  const [local, session] = await person.page.evaluate(() => [localStorage.length, sessionStorage.length]);
  return { cookies, local, session };
}
