// OpenMediaVault's engine restarts in the middle of somebody's work: that is said, nothing is lost, and it goes on afterwards.
// `site.shell` is the beginning of a command that runs another one as root on the NAS.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Visitor } from './browser.mjs';

const PAGES = '/services/experiments';
const NAME = `While it was away ${Date.now()}`;
const run = promisify(execFile);

export async function restart(site) {
  const { check } = site;
  if (!site.shell) return;
  const root = (...command) => run(site.shell[0], [...site.shell.slice(1), ...command]);
  const admin = await Visitor.login(site, site.admin);
  const before = (await admin.rpc('getSettings', null)).result;

  await admin.open(`${PAGES}/settings`);
  await admin.fill('Organisation', NAME);
  await root('systemctl', 'stop', 'openmediavault-engined');
  await admin.press('Save');
  await admin.page.waitForTimeout(4000);
  await admin.picture('engine-away');
  check(/\/settings$/.test(admin.page.url()), 'while the engine is away the page stays, and nobody is logged out', admin.page.url());
  await root('systemctl', 'start', 'openmediavault-engined');
  const left = () => !admin.page.url().endsWith('/settings');
  for (let i = 0; i < 120 && admin.under_way > 0 && !left(); i += 1) await admin.page.waitForTimeout(500);
  await admin.settle();
  if (!left()) {
    check(admin.failures.some((text) => text.includes('setSettings')), 'the page says that it failed', admin.failures);
    check((await admin.field('Organisation').locator('input').inputValue()) === NAME, 'what was written is still in the form');
    for (let i = 0; i < 30 && (await admin.rpc('getSettings', null)).status !== 200; i += 1) await admin.page.waitForTimeout(500);
    await admin.press('Save');
    await admin.page.waitForURL(/services\/experiments$/, { timeout: 20000, waitUntil: 'commit' }).catch(() => {});
  }
  const stored = (await admin.rpc('getSettings', null)).result;
  check(stored.organisation === NAME, 'what was written is saved when it is back', stored.organisation);
  await admin.rpc('setSettings', { ...before, from: stored.from });

  // A task goes on behind it.
  const task = (await admin.rpc('carryOut', { code: site.code, operation: 'mend' })).result;
  await root('systemctl', 'restart', 'openmediavault-engined');
  for (let i = 0; i < 30 && (await admin.rpc('getSettings', null)).status !== 200; i += 1) await admin.page.waitForTimeout(500);
  const said = await admin.taskOf(task);
  check(/Done\.|run the same command again/.test(said), 'a task ends in spite of it, or says what to do', said);
  const again = await admin.taskOf((await admin.rpc('carryOut', { code: site.code, operation: 'mend' })).result);
  check(again.includes('Done.'), 'run again, it does what is left', again);
  const state = (await admin.rpc('getState', { code: site.code, start: 0, limit: null })).result;
  check(state.total === 0, 'and the experiment is in order', JSON.stringify(state));
  await admin.leave();
}
