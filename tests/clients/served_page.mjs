// Looks at a served page in headless Chromium as its readers do, and tells as JSON what they would meet.
// served_page.mjs ORIGIN OUTDIR TOKEN PATH…: a picture of each path in each view goes into OUTDIR. With a token, signs in first.
import assert from "node:assert/strict";
import { accessSync, constants, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

// The packages are installed in target/clients/node, away from this file.
const installed = process.env.CLIENTS_NODE ?? fileURLToPath(new URL("../../target/clients/node", import.meta.url));
const require = createRequire(installed + "/index.js");
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const TIME_MAX = 150_000;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const VIEWS = [
  { name: "light", scheme: "light", width: 1200 },
  { name: "dark", scheme: "dark", width: 1200 },
  { name: "phone", scheme: "light", width: 400 },
  { name: "print", scheme: "light", width: 800, media: "print" },
];

/** The first file of this name on the PATH that may be run. */
function onPath(program) {
  for (const folder of (process.env.PATH ?? "").split(delimiter).filter(Boolean)) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // The next folder may have it.
    }
  }
  throw new Error(`there is no ${program} on the PATH; run tests/clients/setup once`);
}

/** Runs in the page: what it shows. */
function look() {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (element) => getComputedStyle(element).display !== "none" && element.getBoundingClientRect().width > 0;
  const isRed = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(Number);
    return r > 150 && r > 1.6 * g && r > 1.6 * b;
  };
  const red = all("main *").filter((element) => seen(element) && element.textContent.trim() && isRed(getComputedStyle(element).color));
  return {
    title: document.title,
    text: document.body.innerText,
    background: getComputedStyle(document.documentElement).backgroundColor,
    overflow: document.documentElement.scrollWidth > innerWidth,
    inline: all("[style], style, script:not([src])").length,
    red: red.map((element) => element.textContent.trim().slice(0, 80)),
    navigation: all("nav").some(seen),
  };
}

/** Walks through the page with the Tab key: names of what has the focus, and whether each is seen to have it. */
async function walk(page) {
  await page.evaluate(() => document.activeElement?.blur());
  const stops = [];
  for (let step = 0; step < 60; step += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const active = document.activeElement;
      if (!active || active === document.body) return null;
      const style = getComputedStyle(active);
      const { left, right, width } = active.getBoundingClientRect();
      return {
        name: (active.getAttribute("aria-label") ?? active.labels?.[0]?.textContent ?? active.textContent).trim().slice(0, 60),
        tag: active.tagName.toLowerCase(),
        visible: width > 0 && right > 0 && left < innerWidth,
        outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
      };
    });
    if (!stop) break;
    stops.push(stop);
  }
  return stops;
}

async function main(origin, folder, token, ...paths) {
  assert.ok(origin && folder && paths.length, "usage: served_page.mjs ORIGIN OUTDIR TOKEN PATH…");
  mkdirSync(folder, { recursive: true });
  const problems = new Set();
  const elsewhere = new Set();
  const views = [];
  const keyboard = {};
  const browser = await chromium.launch({ executablePath: onPath("chromium"), args: FLAGS, headless: true });
  try {
    for (const { name, scheme, width, media } of VIEWS) {
      // The checks are put into the page from outside, past its own policy; what the page itself breaks is told all the same.
      const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 } });
      context.on("request", (request) => request.url().startsWith(origin) || elsewhere.add(request.url()));
      const page = await context.newPage();
      page.on("console", (message) => message.type() === "error" && problems.add(`${name}: ${message.text()}`));
      page.on("pageerror", (error) => problems.add(`${name}: ${error}`));
      if (token) {
        await page.goto(origin + "/sign-in");
        await page.fill("#token", token);
        await Promise.all([page.waitForURL(origin + "/"), page.keyboard.press("Enter")]);
      }
      for (const path of paths) {
        await page.goto(origin + path, { waitUntil: "load" });
        if (media) await page.emulateMedia({ media, colorScheme: scheme });
        await sleep(400);
        const seen = await page.evaluate(look);
        await page.screenshot({ path: join(folder, `${place(path)}-${name}.png`), fullPage: true });
        let violations = [];
        if (!media) {
          const session = await context.newCDPSession(page);
          const { readFileSync } = await import("node:fs");
          await session.send("Runtime.evaluate", { expression: readFileSync(axe, "utf8") });
          const { result } = await session.send("Runtime.evaluate", {
            expression: "axe.run(document, { resultTypes: ['violations'] }).then((told) => JSON.stringify(told.violations.map((it) => ({ id: it.id, impact: it.impact, nodes: it.nodes.map((node) => node.html.slice(0, 200) + ' ' + (node.any[0]?.message ?? '')) }))))",
            awaitPromise: true,
            returnByValue: true,
          });
          violations = JSON.parse(result.value);
        }
        if (name === "light") keyboard[path] = await walk(page);
        views.push({ path, view: name, ...seen, violations });
        if (media) await page.emulateMedia({ media: null });
      }
      await context.close();
    }
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify({ problems: [...problems], elsewhere: [...elsewhere], views, keyboard }, null, 2) + "\n");
}

/** A path as the name of a file. */
function place(path) {
  return path.split("?")[0].split("/").filter(Boolean)[0] ?? "pipelines";
}

const limit = setTimeout(() => {
  console.error(`the page could not be looked at within ${TIME_MAX / 1000} seconds`);
  process.exit(1);
}, TIME_MAX);
try {
  await main(...process.argv.slice(2));
} catch (error) {
  console.error(String(error?.stack ?? error));
  process.exitCode = 1;
}
clearTimeout(limit);
