// What holds for every page, whoever wrote it: it fits, can be read by everybody, and a picture of it
// is left for a person to look at.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";

import axe from "axe-core";

import { required } from "./given.js";

/** Pictures of the page, and no rule of WCAG A and AA broken in either colour scheme. */
export async function looksRight(person, name, folder = required("SCREENSHOTS")) {
  await mkdir(folder, { recursive: true });
  await person.shoot(folder, name);
  // It is large; each page hears it once.
  await person.ask(`${axe.source}; undefined`);
  for (const scheme of ["light", "dark"]) {
    await person.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    const { violations } = await person.ask('axe.run(document, { resultTypes: ["violations"] })');
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
    assert.deepEqual(found, [], `accessibility of ${name} in ${scheme}`);
  }
}
