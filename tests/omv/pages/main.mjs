// The pages on a real OpenMediaVault, in a real browser. See ../README.md.
//
// Standard input: {"url", "pictures"?, "code"?, "admin": {"name", "password"}, "manage", "write", "read", "stranger": the
// same, "old"?: {"code", "path"} of a directory that the import takes, "shell"?: the beginning of a
// command that runs another one as root on the NAS}. One line a check, then the counts; exit 1 when anything failed.

import { readFileSync } from 'node:fs';
import { abuse } from './abuse.mjs';
import { administrator } from './administrator.mjs';
import { members } from './members.mjs';
import { finish } from './browser.mjs';
import { files } from './files.mjs';
import { looks } from './looks.mjs';
import { night } from './night.mjs';
import { restart } from './restart.mjs';
import { takeover } from './takeover.mjs';
import { unit } from './unit.mjs';

const site = JSON.parse(readFileSync(0, 'utf8'));
site.url = site.url.replace(/\/*$/, '/');
site.code = site.code || 'otest-pages';
for (const role of ['admin', 'manage', 'write', 'read', 'stranger']) site[role].role = role;

let passed = 0;
let failed = 0;
site.check = (good, what, seen = '') => {
  if (good) passed += 1;
  else failed += 1;
  console.log(good ? `ok    ${what}` : `FAIL  ${what}: ${String(seen).slice(0, 600)}`);
  return good;
};
const parts = { unit, takeover, administrator: administrator.before, files, night, members, looks, abuse, restart, end: administrator.after };
const only = process.argv.slice(2);
for (const [name, part] of Object.entries(parts)) {
  if (only.length && !only.includes(name)) continue;
  console.log(`== ${name}`);
  try {
    await part(site);
  } catch (error) {
    site.check(false, `${name} runs to its end`, error.stack);
  }
}
await finish();
console.log(`pages: ${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
