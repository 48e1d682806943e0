// Plays an editor: opens YAML files in yaml-language-server, and tells as JSON what it marks, offers and explains.
// editor.mjs WORKSPACE_DIR REQUESTS.json, the latter with `settings`, `documents`, `completions` and `hovers`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// The packages are installed in target/clients/node, away from this file.
const installed = process.env.CLIENTS_NODE ?? fileURLToPath(new URL("../../target/clients/node", import.meta.url));
const SERVER = join(installed, "node_modules/yaml-language-server/bin/yaml-language-server");

const TIME_MAX = 60_000;
// For one answer of the server.
const ANSWER_TIME_MAX = 20_000;

// Nothing is fetched: no catalogue of schemas, and whatever is asked for by address goes to a proxy that nobody runs.
const DEFAULTS = {
  yaml: { validate: true, completion: true, hover: true, schemaStore: { enable: false }, kubernetesCRDStore: { enable: false } },
  http: { proxy: "http://127.0.0.1:9" },
};

/** The language server as a child process: JSON-RPC messages over its standard input and output. */
class Server {
  #child = spawn(process.execPath, [SERVER, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
  #unread = Buffer.alloc(0);
  #lastId = 0;
  /** Who waits for what: `take` says whether a message is it, and keeps what it wants. */
  #waiting = new Set();
  #settings;

  constructor(settings) {
    this.#settings = settings;
    this.#child.stdout.on("data", (bytes) => this.#read(bytes));
    this.#child.stdin.on("error", () => {});
    this.#child.on("error", (error) => this.#fail(error));
    this.#child.on("exit", (code, signal) => this.#fail(new Error(`the language server ended (${signal ?? code})`)));
  }

  #read(bytes) {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (;;) {
      const end = this.#unread.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/^content-length: *(\d+)/im.exec(this.#unread.toString("latin1", 0, end))[1]);
      const begin = end + 4;
      if (this.#unread.length < begin + length) return;
      const message = JSON.parse(this.#unread.toString("utf8", begin, begin + length));
      this.#unread = this.#unread.subarray(begin + length);
      this.#handle(message);
    }
  }

  #handle(message) {
    const { id, method, params } = message;
    if (method !== undefined && id !== undefined) {
      // Its other requests (registrations, schemas of its own kind of address) need no more than an answer.
      const sections = method === "workspace/configuration" ? params.items.map(({ section }) => this.#settings[section] ?? null) : null;
      this.#write({ id, result: sections });
    } else if (method === "telemetry/event" || (method === "window/logMessage" && params.type === 1)) {
      console.error("language server:", params.message ?? JSON.stringify(params));
    }
    for (const waiter of this.#waiting) {
      if (waiter.wants(message)) waiter.resolve(message);
    }
  }

  #fail(error) {
    for (const waiter of this.#waiting) waiter.reject(error);
  }

  #write(message) {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    this.#child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  /** The next message of this kind; `what` names it where it never comes. */
  async next(what, wants) {
    let waiter;
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        waiter = { wants, resolve, reject };
        this.#waiting.add(waiter);
        timer = setTimeout(() => reject(new Error(`no ${what} within ${ANSWER_TIME_MAX / 1000} seconds`)), ANSWER_TIME_MAX);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiter);
    }
  }

  notify(method, params) {
    this.#write({ method, params });
  }

  async ask(method, params) {
    const id = (this.#lastId += 1);
    const answer = this.next(`answer to ${method}`, (message) => message.id === id && message.method === undefined);
    this.#write({ id, method, params });
    const { error, result } = await answer;
    assert.ok(!error, `${method}: ${error?.message}`);
    return result;
  }

  /** That the settings reach it: it asks for them after each change, and takes the answer before what comes next. */
  async configured() {
    const wants = ({ method, params }) => method === "workspace/configuration" && params.items.some(({ section }) => section === "yaml");
    await this.next("request for the settings", wants);
  }

  kill() {
    this.#child.removeAllListeners("exit");
    this.#child.kill("SIGKILL");
  }
}

/** What a hover shows, of the forms that the protocol has for it. */
function hoverText(hover) {
  const parts = [hover?.contents ?? []].flat();
  return parts.map((part) => (typeof part === "string" ? part : part.value)).join("\n");
}

async function drive(server, workspace, { documents = [], completions = [], hovers = [] }) {
  const address = (path) => pathToFileURL(resolve(workspace, path)).href;
  const rootUri = pathToFileURL(workspace).href;
  const capabilities = {
    workspace: { configuration: true, didChangeConfiguration: {}, workspaceFolders: true },
    textDocument: {
      publishDiagnostics: {},
      completion: { completionItem: { snippetSupport: true, documentationFormat: ["markdown"] } },
      hover: { contentFormat: ["markdown"] },
    },
  };
  const folders = [{ uri: rootUri, name: "workspace" }];
  await server.ask("initialize", { processId: process.pid, rootUri, workspaceFolders: folders, capabilities, locale: "en" });
  const first = server.configured();
  server.notify("initialized", {});
  await first;
  const second = server.configured();
  server.notify("workspace/didChangeConfiguration", { settings: null });
  await second;

  const diagnostics = {};
  const open = async ({ path, text }) => {
    assert.ok(!(path in diagnostics), `${path} is opened twice`);
    // The order is that of the documents, not of the answers.
    diagnostics[path] = [];
    const uri = address(path);
    const content = text ?? readFileSync(resolve(workspace, path), "utf8");
    const wants = ({ method, params }) => method === "textDocument/publishDiagnostics" && params.uri === uri;
    const published = server.next(`diagnostics of ${path}`, wants);
    server.notify("textDocument/didOpen", { textDocument: { uri, languageId: "yaml", version: 1, text: content } });
    diagnostics[path] = (await published).params.diagnostics.map(({ range, message, severity }) => ({ ...range.start, message, severity }));
  };
  await Promise.all(documents.map(open));

  const asked = async (method, { path, line, character }) => {
    assert.ok(path in diagnostics, `${path} is not among the documents`);
    return server.ask(method, { textDocument: { uri: address(path) }, position: { line, character } });
  };
  const told = { diagnostics, completions: [], hovers: [] };
  for (const place of completions) {
    const found = await asked("textDocument/completion", place);
    told.completions.push((found?.items ?? found ?? []).map(({ label }) => label));
  }
  for (const place of hovers) told.hovers.push(hoverText(await asked("textDocument/hover", place)));
  return told;
}

async function main(folder, file) {
  assert.ok(folder && file, "usage: editor.mjs WORKSPACE_DIR REQUESTS.json");
  assert.ok(statSync(folder).isDirectory(), `${folder} is no folder`);
  assert.ok(statSync(SERVER, { throwIfNoEntry: false }), "there is no yaml-language-server; run tests/clients/setup once");
  const requests = JSON.parse(readFileSync(file, "utf8"));
  const settings = { ...DEFAULTS, ...requests.settings, yaml: { ...DEFAULTS.yaml, ...requests.settings?.yaml } };
  const server = new Server(settings);
  const limit = setTimeout(() => {
    console.error(`the language server was not done within ${TIME_MAX / 1000} seconds`);
    server.kill();
    process.exit(1);
  }, TIME_MAX);
  try {
    const told = await drive(server, resolve(folder), requests);
    process.stdout.write(JSON.stringify(told, null, 2) + "\n");
  } finally {
    clearTimeout(limit);
    server.kill();
  }
}

try {
  await main(...process.argv.slice(2));
} catch (error) {
  console.error(String(error?.message ?? error));
  process.exitCode = 1;
}
