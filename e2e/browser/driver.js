// Chromium at the command of another program: one line of JSON for each act on standard input, one
// for its outcome on standard output. Ends when standard input does.
//
//   {"id": 1, "person": "ada", "act": "open", "url": "http://…"}
//   {"id": 1, "seen": {"url": "…", "status": 200, "heading": "…", "text": "…"}}
//
// Every person has a browser context of their own, made when they first act (`"script": true` lets its
// pages run scripts). Acts of one person come
// one after the other; those of different persons need not wait for each other.

import { createInterface } from "node:readline";

import { launch } from "./chromium.js";
import { looksRight } from "./looks.js";

const PATIENCE = 30_000;

const chromium = await launch();
const people = new Map();
const queues = new Map();

const ACTS = {
  open: (person, { url }) =>
    follow(person, () => {
      person.came = new URL(url).origin;
      return person.page.goto(url, { waitUntil: "load" });
    }),
  fill: async (person, { fields }) => person.fill(fields),
  press: (person, { button }) =>
    follow(person, async () => {
      const element = await person.named("button, input[type=submit]", button);
      const [response] = await Promise.all([person.page.waitForNavigation({ waitUntil: "load" }), element.click()]);
      return response;
    }),
  pressAndLeave: async (person, { button }) => {
    const element = await person.named("button, input[type=submit]", button);
    await Promise.all([elsewhere(person), element.click()]);
    return seen(person, undefined);
  },
  look: async (person) => seen(person, undefined),
  looksRight: async (person, { folder, name }) => looksRight(person, name, folder),
  leave: async (person, { id, person: name }) => {
    people.delete(name);
    await person.context.close();
    return { complaints: person.complaints };
  },
};

/** Waits until the page is one of another origin, however many pages were left at once on the way. */
function elsewhere({ page, came }) {
  return new Promise((there, stayed) => {
    const limit = setTimeout(() => stayed(new Error(`still at ${page.url()}`)), PATIENCE);
    const navigated = (frame) => {
      if (frame !== page.mainFrame() || new URL(frame.url()).origin === came) return;
      page.off("framenavigated", navigated);
      page.once("load", () => {
        clearTimeout(limit);
        there();
      });
    };
    page.on("framenavigated", navigated);
  });
}

async function follow(person, act) {
  const response = await act();
  return seen(person, response?.status());
}

async function seen(person, status) {
  const [heading, text] = await person.page.evaluate(() => [
    [...document.querySelectorAll("h1")].find((node) => node.checkVisibility())?.textContent.trim() ?? "",
    document.body.innerText,
  ]);
  return { url: person.page.url(), status, heading, text };
}

async function perform(command) {
  const { person: name, act, script } = command;
  if (!people.has(name)) people.set(name, await chromium.person({ anyLoopback: true, anyStatus: true, script }));
  return (await ACTS[act](people.get(name), command)) ?? {};
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  const before = queues.get(command.person) ?? Promise.resolve();
  const now = before.then(async () => {
    try {
      say({ id: command.id, seen: await perform(command) });
    } catch (error) {
      say({ id: command.id, error: `${command.act}: ${error.message}` });
    }
  });
  queues.set(command.person, now);
}).on("close", async () => {
  await chromium.close();
  process.exit(0);
});

say({ id: 0, seen: {} });

function say(outcome) {
  console.log(JSON.stringify(outcome));
}
