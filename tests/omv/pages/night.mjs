// What an operation would do is shown first; it is done at once, or set for the night; and what takes longer than the web server
// waits is told to whoever began it. `site.shell` is the beginning of a command that runs another one as root on the NAS.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Visitor } from './browser.mjs';

const PAGES = '/services/experiments';
const run = promisify(execFile);

async function choose(site, admin) {
  await admin.open(`${PAGES}/list`);
  await admin.row(site.code);
  await admin.action('lock').click();
  await admin.arrive('operation');
  await admin.page.locator('mat-checkbox label', { hasText: 'Do it at night' }).click();
  await admin.page.waitForTimeout(400);
}

async function tonight(site, admin) {
  const { check } = site;
  const status = async () => (await admin.rpc('get', { code: site.code })).result.definition.status;
  const hour = (await admin.rpc('getSettings', null)).result.night;
  await choose(site, admin);
  const effects = await admin.field('Services that restart, and whom that interrupts').locator('textarea').inputValue();
  check(effects.includes('sshd reads its configuration again'), 'closing says what it interrupts', effects);
  check((await admin.field('It begins at').locator('input').inputValue()) === `${String(hour).padStart(2, '0')}:00`, 'and when the night begins');
  await admin.picture('operation-night');
  await admin.press('Do it');
  const said = await admin.task();
  check(said.includes('It will be done at night') && (await status()) === 'active', 'it is set for the night, and nothing is changed', said);
  check(admin.page.url().endsWith('/tonight'), 'the page of what is set follows', admin.page.url());
  check((await admin.reads(site.code)) && (await admin.reads('Waits')) && (await admin.reads('sshd reads')), 'it is in the table, with what it interrupts', await admin.text());
  await admin.picture('tonight');
  await admin.open(`${PAGES}/experiment/${site.code}`);
  check(await admin.reads('Something is set for tonight'), 'the overview tells it', await admin.text());
  const again = await admin.taskOf((await admin.rpc('carryOut', { code: site.code, operation: 'close', tonight: true })).result);
  check(again.includes('set for the night already'), 'one thing at a time', again);
  const french = await Visitor.login(site, site.admin, 'fr-FR');
  await french.open(`${PAGES}/tonight`);
  check((await french.reads('En attente')) && (await french.reads('sshd relit sa configuration')), 'in French too', await french.text());
  await french.picture('tonight');
  await french.leave();
  await admin.open(`${PAGES}/tonight`);
  await admin.row(site.code);
  await admin.action('cancel').click();
  await admin.press('Yes', admin.dialog());
  await admin.settle();
  check(await admin.reads('No data to display'), 'it is cancelled', await admin.text());
  await choose(site, admin);
  await admin.press('Do it');
  await admin.task();
  await admin.row(site.code);
  await admin.action('play').click();
  await admin.press('Yes', admin.dialog());
  const done = await admin.task();
  check(done.includes('Done.') && (await status()) === 'closed', 'or done at once', done);
  const reopened = await admin.taskOf((await admin.rpc('carryOut', { code: site.code, operation: 'reopen' })).result);
  check(reopened.includes('Done.') && (await status()) === 'active', 'and taken back', reopened);
}

async function drafts(site, admin) {
  const { check } = site;
  await admin.rpc('stageForm', { code: 'otest-draft', title: 'One', createaccounts: 'false' });
  const first = (await admin.rpc('getDraft', null)).result;
  check(first.operation === 'create' && first.code === 'otest-draft' && first.steps.length > 0, 'a form is kept until it is carried out', JSON.stringify(first).slice(0, 300));
  await admin.rpc('stageForm', { code: 'otest-draft', title: 'Two', createaccounts: 'false' });
  const late = await admin.rpc('carryOut', { code: first.code, operation: 'create', draft: first.draft });
  check(late.status === 409, 'what was looked at is done, or nothing', `${late.status} ${late.message}`);
  check(!JSON.stringify((await admin.rpc('getList', { start: 0, limit: -1 })).result).includes('otest-draft'), 'nothing was made of either');
}

/** The helper is held up for longer than the web server waits. */
async function patience(site, admin) {
  const { check } = site;
  const root = (text) => run(site.shell[0], [...site.shell.slice(1), text]);
  const hold = root("for i in $(seq 300); do p=$(pgrep -f '^/usr/bin/octonas rpc edit-team') && break; sleep .05; done; kill -STOP $p; echo $p");
  const visitor = await Visitor.login(site, site.manage);
  const team = (await visitor.rpc('getTeam', { code: site.code })).result;
  const people = team.people.map((person, n) => (n === 0 ? { ...person, affiliation: 'Écotron' } : person));
  const began = Date.now();
  const answer = await visitor.rpc('setTeam', { code: site.code, from: team.from, people });
  const seconds = (Date.now() - began) / 1000;
  check(answer.status === 200 && seconds > 25 && seconds < 50, 'who waits too long is answered before the web server gives up', `${answer.status} ${answer.message} ${seconds} s`);
  await visitor.open(`${PAGES}/people/${site.code}`);
  check(await visitor.reads('still being carried out'), 'their page says that it is under way', await visitor.text());
  await visitor.picture('underway');
  const other = await Visitor.login(site, site.read);
  await other.open(`${PAGES}/experiment/${site.code}`);
  check(!(await other.text()).includes('carried out'), 'and nobody else is told', await other.text());
  await other.leave();
  const pid = (await hold).stdout.trim();
  await root(`kill -CONT ${pid}; for i in $(seq 200); do kill -0 ${pid} 2>/dev/null || break; sleep .1; done`);
  await visitor.page.waitForTimeout(1000);
  await visitor.open(`${PAGES}/experiment/${site.code}`);
  const now = (await visitor.rpc('getTeam', { code: site.code })).result;
  check(now.people[0].affiliation === 'Écotron' && !(await visitor.text()).includes('carried out'), 'it was done all the same', JSON.stringify(now.people[0]));
  // And one that dies.
  const kill = root("for i in $(seq 300); do p=$(pgrep -f '^/usr/bin/octonas rpc edit-team') && break; sleep .05; done; kill -STOP $p; sleep 35; kill -KILL $p");
  await visitor.rpc('setTeam', { code: site.code, from: now.from, people: team.people });
  await kill;
  await visitor.page.waitForTimeout(1000);
  await visitor.open(`${PAGES}/people/${site.code}`);
  check(await visitor.reads('What you began was not done'), 'whoever began what died is told', await visitor.text());
  const left = (await visitor.rpc('getTeam', { code: site.code })).result;
  check(left.people[0].affiliation === 'Écotron', 'one that dies changes nothing', JSON.stringify(left.people[0]));
  await visitor.leave();
  const mended = await admin.taskOf((await admin.rpc('carryOut', { code: site.code, operation: 'mend' })).result);
  check(mended.includes('Done.'), 'and the experiment is in order', mended);
}

export async function night(site) {
  if (!site.shell) return;
  const admin = await Visitor.login(site, site.admin);
  const steps = { tonight, drafts, patience };
  for (const step of (site.steps || Object.keys(steps)).map((name) => steps[name]).filter(Boolean)) {
    try {
      await step(site, admin);
    } catch (error) {
      site.check(false, `${step.name} runs to its end`, error.stack);
      await admin.picture(`failed-${step.name}`);
      await admin.page.reload();
    }
  }
  await admin.leave();
}
