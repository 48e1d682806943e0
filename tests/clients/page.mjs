// Opens a local HTML file in headless Chromium, cut off from any network, and tells as JSON what a reader would see.
// page.mjs FILE.html OUTDIR: light.png, dark.png and phone.png (full pages) go into OUTDIR.
import assert from "node:assert/strict";
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

// The packages are installed in target/clients/node, away from this file.
const installed = process.env.CLIENTS_NODE ?? fileURLToPath(new URL("../../target/clients/node", import.meta.url));
const { chromium } = createRequire(installed + "/index.js")("playwright-core");

const TIME_MAX = 90_000;
// What a page does a moment after it was loaded counts too.
const SETTLE = 300;
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  // What no route sees (preconnections, sockets) finds no host and no way.
  "--host-resolver-rules=MAP * ~NOTFOUND", "--webrtc-ip-handling-policy=disable_non_proxied_udp",
];
const VIEWS = [
  { name: "light", scheme: "light", width: 1200 },
  { name: "dark", scheme: "dark", width: 1200 },
  { name: "phone", scheme: "light", width: 420 },
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

/** Runs in the page: what it shows, and what it is made of. */
function look() {
  // A pixel painted with the colours in turn is what the eye gets, whatever notation and transparency they have.
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    for (const colour of colours) {
      pixel.fillStyle = colour;
      pixel.fillRect(0, 0, 1, 1);
    }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // Behind the root's own background is the browser's canvas, dark where the page says that it knows dark.
  const probe = document.documentElement.appendChild(document.createElement("i"));
  probe.style.color = "Canvas";
  const canvas = getComputedStyle(probe).color;
  probe.remove();
  const body = getComputedStyle(document.body);
  const behind = [canvas, getComputedStyle(document.documentElement).backgroundColor, body.backgroundColor];
  const background = paint(behind);
  const color = paint([...behind, body.color]);
  const [dark, bright] = [luminance(background), luminance(color)].sort((a, b) => a - b);

  const all = (selector) => [...document.querySelectorAll(selector)];
  const attribute = (selector, ...names) =>
    all(selector).map((element) => names.map((name) => element.getAttribute(name)).find((value) => value !== null)).filter((value) => value !== undefined);
  const seen = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return width > 0 && height > 0;
  };
  const counted = ["table", "svg", "details", "script", "iframe", "form"];
  return {
    title: document.title,
    text: document.body.innerText,
    background: `rgb(${background.join(", ")})`,
    color: `rgb(${color.join(", ")})`,
    contrast: Math.round(((bright + 0.05) / (dark + 0.05)) * 100) / 100,
    overflow: document.documentElement.scrollWidth > innerWidth,
    links: attribute("a", "href", "xlink:href"),
    images: attribute("img", "src"),
    charts: all(".bars").filter(seen).length,
    elements: Object.fromEntries(counted.map((name) => [name, all(name).length])),
  };
}

/** Runs in the page: what a browser with a window asks for, and a headless one does not, or not by a request. */
function hints() {
  const links = [...document.querySelectorAll("link[rel~=icon], link[rel~=preconnect], link[rel~=dns-prefetch]")];
  return links.map((link) => link.href).filter((url) => url && !url.startsWith("data:"));
}

async function main(file, folder) {
  assert.ok(file && folder, "usage: page.mjs FILE.html OUTDIR");
  assert.ok(statSync(file).isFile(), `${file} is no file`);
  mkdirSync(folder, { recursive: true });
  const address = pathToFileURL(resolve(file)).href;
  const isPage = (url) => url.split("#")[0] === address;

  const requests = new Set();
  const problems = new Set();
  const views = [];
  let scriptsRan = false;
  const note = (url) => isPage(url) || requests.add(url);
  // Every launch has a profile of its own, removed at its end; every view has a context of its own.
  const browser = await chromium.launch({ executablePath: onPath("chromium"), args: FLAGS, headless: true });
  try {
    for (const { name, scheme, width } of VIEWS) {
      const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 }, serviceWorkers: "block" });
      context.on("request", (request) => note(request.url()));
      const page = await context.newPage();
      await context.route("**/*", (route) => (isPage(route.request().url()) ? route.continue() : route.abort("blockedbyclient")));
      page.on("websocket", (socket) => note(socket.url()));
      page.on("console", (message) => message.type() === "error" && problems.add(message.text()));
      page.on("pageerror", (error) => problems.add(String(error)));
      page.on("dialog", (dialog) => {
        problems.add(`${dialog.type()} dialog: ${dialog.message()}`);
        return dialog.dismiss();
      });
      await page.goto(address, { waitUntil: "load" });
      await sleep(SETTLE);
      (await page.evaluate(hints)).forEach(note);
      scriptsRan ||= await page.evaluate(() => window.__injected !== undefined);
      views.push({ scheme, width, ...(await page.evaluate(look)) });
      await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
      await context.close();
    }
  } finally {
    await browser.close();
  }
  const told = { requests: [...requests], console: [...problems], scriptsRan, views };
  process.stdout.write(JSON.stringify(told, null, 2) + "\n");
}

// The browser ends with this process.
const limit = setTimeout(() => {
  console.error(`the page could not be looked at within ${TIME_MAX / 1000} seconds`);
  process.exit(1);
}, TIME_MAX);
try {
  await main(...process.argv.slice(2));
} catch (error) {
  console.error(String(error?.message ?? error));
  process.exitCode = 1;
}
clearTimeout(limit);
