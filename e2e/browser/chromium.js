// A Chromium of our own, with everything it says and asks for written down.
//
// Not responsible for what the pages should show: that stands in the tests.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import puppeteer from "puppeteer-core";

// 320 is the width at which text must still reflow (WCAG 2.2, 1.4.10); no picture is taken of it.
const NARROWEST = 320;
const WIDTHS = [360, 1280];
const SCHEMES = ["light", "dark"];
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

let running;

/** The Chromium of this process, started when first asked for. Closing it twice does no harm. */
export function launch() {
  running ??= start();
  return running;
}

/** Starts Chromium with a profile of its own; only loopback addresses resolve. */
async function start() {
  const profile = await mkdtemp(path.join(tmpdir(), "countersign-chromium-"));
  const chromium = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    protocolTimeout: 30_000,
    userDataDir: profile,
    // It leaves things at home, too.
    env: { ...process.env, HOME: profile },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE ::1",
    ],
  });
  const end = async () => {
    await chromium.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  let ended;
  return {
    /** A person at a browser that nobody else has used: own cookies, one tab. */
    person: async (options = {}) => Person.open(chromium, options),
    close: () => (ended ??= end()),
  };
}

/** One browser context with one tab, and what went wrong in it. */
export class Person {
  /**
   * `script: true` lets pages run scripts; ours have none, so the default is off. Pages may be asked of
   * `origin` alone, or of `anyLoopback`; `anyStatus` lets whoever drives judge what they answer.
   */
  static async open(chromium, { script = false, origin, anyLoopback = false, anyStatus = false }) {
    const context = await chromium.createBrowserContext();
    const page = await context.newPage();
    const person = new Person(context, page, script);
    person.allows = (url) => url.origin === origin || (anyLoopback && LOOPBACK.has(url.hostname));
    person.anyStatus = anyStatus;
    await page.setJavaScriptEnabled(script);
    await person.#listen();
    return person;
  }

  constructor(context, page, script) {
    this.context = context;
    this.page = page;
    this.script = script;
    this.complaints = [];
    this.expectedStatus = undefined;
  }

  async #listen() {
    this.page.on("request", (request) => {
      if (!this.allows(new URL(request.url()))) {
        this.complaints.push(`foreign request: ${request.url()}`);
      }
    });
    this.page.on("requestfailed", (request) => {
      this.complaints.push(`failed request: ${request.url()} ${request.failure()?.errorText}`);
    });
    this.page.on("pageerror", (error) => this.complaints.push(`script error: ${error}`));
    this.page.on("console", (message) => {
      if (!["error", "warn", "assert"].includes(message.type())) return;
      // Chromium logs the status of a page that answers 4xx; some tests ask for just that.
      const answered = "the server responded with a status of ";
      if (this.anyStatus && message.text().includes(answered)) return;
      if (this.expectedStatus && message.text().includes(`${answered}${this.expectedStatus} `)) return;
      this.complaints.push(`console: ${message.text()}`);
    });
    // Violations are reported here also when pages may run no script to hear of them.
    const protocol = await this.page.createCDPSession();
    await protocol.send("Audits.enable");
    protocol.on("Audits.issueAdded", ({ issue }) => {
      if (issue.code === "ContentSecurityPolicyIssue") {
        this.complaints.push(`policy violation: ${JSON.stringify(issue.details)}`);
      }
    });
  }

  /** Opens an address as if typed; `status` is what the page must answer. */
  async open(url, { status = 200 } = {}) {
    this.expectedStatus = status === 200 ? undefined : status;
    const response = await this.page.goto(url, { waitUntil: "load" });
    assert.equal(response.status(), status, `status of ${url}`);
  }

  /** Does `act` and waits for the page it leads to, which must answer with `status`. */
  async leads(act, { status = 200 } = {}) {
    this.expectedStatus = status === 200 ? undefined : status;
    const [response] = await Promise.all([this.page.waitForNavigation({ waitUntil: "load" }), act()]);
    assert.equal(response.status(), status, `status of ${this.page.url()}`);
  }

  async fill(fields) {
    for (const [name, value] of Object.entries(fields)) {
      const input = await this.page.waitForSelector(`input[name="${name}"]`);
      await input.evaluate((element) => (element.value = ""));
      await input.type(value);
    }
  }

  /** Presses the button with this text, as a pointer does. */
  async press(text, options) {
    const button = await this.named("button", text);
    await this.leads(() => button.click(), options);
  }

  async named(selector, text) {
    for (const element of await this.page.$$(selector)) {
      if ((await element.evaluate((node) => node.textContent)).includes(text)) return element;
    }
    throw new Error(`no ${selector} “${text}” on ${this.page.url()}:\n${await this.text()}`);
  }

  /** Waits for the page to put the focus on `selector` by itself. */
  async focusComesTo(selector) {
    for (let looks = 0; looks < 100; looks += 1) {
      if (await this.page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
      await new Promise((wake) => setTimeout(wake, 20));
    }
    throw new Error(`the focus is not on ${selector} on ${this.page.url()}`);
  }

  /** Moves the focus with Tab alone until it is on `selector`. */
  async tabTo(selector) {
    for (let pressed = 0; pressed < 40; pressed += 1) {
      await this.page.keyboard.press("Tab");
      const state = await this.page.evaluate((wanted) => {
        const focused = document.activeElement;
        const style = getComputedStyle(focused);
        return { there: focused.matches(wanted), width: parseFloat(style.outlineWidth), style: style.outlineStyle };
      }, selector);
      if (state.there) {
        assert.ok(state.style !== "none" && state.width >= 2, `the focus on ${selector} can be seen`);
        return;
      }
    }
    throw new Error(`${selector} cannot be reached with Tab on ${this.page.url()}`);
  }

  /** Runs an examination of our own in the page, which waits for timers: those are scripts. */
  async ask(script) {
    await this.page.setJavaScriptEnabled(true);
    const answer = await this.page.evaluate(script);
    await this.page.setJavaScriptEnabled(this.script);
    return answer;
  }

  heading() {
    return this.page.$$eval("h1", (nodes) => nodes.find((node) => node.checkVisibility())?.textContent.trim());
  }

  text() {
    return this.page.$eval("main", (node) => node.innerText);
  }

  /** A picture at both widths in both colour schemes; nothing may stick out sideways. */
  async shoot(folder, name) {
    await this.#fits(name, NARROWEST);
    for (const width of WIDTHS) {
      for (const scheme of SCHEMES) {
        await this.#fits(name, width);
        await this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        const file = path.join(folder, `${name}-${width}-${scheme}.png`);
        await this.page.screenshot({ path: file, fullPage: true });
      }
    }
  }

  async #fits(name, width) {
    await this.page.setViewport({ width, height: width < 1280 ? 740 : 800 });
    const wide = await this.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${name} is ${wide} pixels wide on a screen of ${width}`);
  }

  /** Ends the visit; everything it complained of fails the test. */
  async leave() {
    await this.context.close();
    assert.deepEqual(this.complaints, []);
  }
}
