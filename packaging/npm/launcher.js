#!/usr/bin/env node
// Starts the program of this computer's platform, which is a package of its own, and ends as it ends.
"use strict";
const { spawn } = require("node:child_process");
const { constants } = require("node:os");

const platform = `${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`@syncline/${platform}/syncline`);
} catch {
  const { optionalDependencies } = require("../package.json");
  const known = Object.keys(optionalDependencies).includes(`@syncline/${platform}`);
  console.error(
    known
      ? `error: the package @syncline/${platform} is missing\n  help: install again without \`--omit=optional\``
      : `error: there is no program for ${platform}\n  help: it can be built from its sources with Rust`,
  );
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
// The program ends in order by itself; a terminal sends Ctrl-C to both.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`error: ${program} cannot be started: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
