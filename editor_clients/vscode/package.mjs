// Packs the extension as a .vsix: whoever builds it has the same bytes, whatever the times, modes and time zone here.
import { execSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const SHIPPED = ["package.json", "README.md", ".vscodeignore", "media", "dist"];
const VSCE =
  "@vscode/vsce@4.1.0 package --no-dependencies --allow-missing-repository --skip-license --no-rewrite-relative-links";
const EPOCH = process.env.SOURCE_DATE_EPOCH ?? "1580601600"; // that of the wheels, 2020-02-02

const folder = mkdtempSync(join(tmpdir(), "unmask-vsix-"));
try {
  for (const name of SHIPPED) cpSync(name, join(folder, name), { recursive: true });
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = join(folder, name);
    chmodSync(path, statSync(path).isDirectory() ? 0o755 : 0o644);
  }
  // a zip has local times
  const env = { ...process.env, SOURCE_DATE_EPOCH: EPOCH, TZ: "UTC" };
  const { version } = JSON.parse(execSync("npm pkg get name version", { encoding: "utf8" }));
  execSync(`npx --yes ${VSCE} --out "${resolve(`unmask-${version}.vsix`)}"`, { cwd: folder, env, stdio: "inherit" });
} finally {
  rmSync(folder, { recursive: true });
}
