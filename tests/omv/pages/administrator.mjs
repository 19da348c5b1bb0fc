// What an administrator does with an experiment, from its creation to its removal.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Visitor } from './browser.mjs';

export const TITLE = 'Lac {{ 7*7 }} R&D "quoted" <script>alert(1)</script><img src=x onerror=alert(2)> 100% %s';

const PAGES = '/services/experiments';

async function create(site, admin) {
  const { check } = site;
  check((await admin.open(`${PAGES}/create`)).length === 0, 'the form of a new experiment opens', admin.failures);
  await admin.fill('Code', 'Not A Code');
  await admin.page.keyboard.press('Tab');
  check(await admin.reads('begins with a letter'), 'a wrong code is named at its field');
  await admin.fill('Code', site.code);
  await admin.fill('Title', TITLE);
  await admin.fill('Description', "Line 'one'\nLine <b>two</b> & {{ three }}");
  for (const [person, access] of [[site.manage, 'Manage'], [site.write, 'Write'], [site.read, 'Read']]) {
    await admin.add('People', async (dialog) => {
      await admin.fill('Name', `<b>${person.name}</b> O'Neil`, dialog);
      await admin.fill('Account', person.name, dialog);
      await admin.page.keyboard.press('Tab');
      await admin.choose('Access', access, dialog);
      if (access === 'Manage') await admin.choose('Roles', 'Contact', dialog);
    });
  }
  await admin.add('Sources', async (dialog) => {
    await admin.fill('Name', 'plc-1', dialog);
  });
  await admin.fill('Expected size', '2 GB');
  await admin.picture('form-filled');
  // A mistake that only the program can see: the folder is where members do not write.
  await admin.fill('First day', '2026-03-01');
  await admin.fill('Last day', '2026-02-01');
  await admin.press('Save');
  await admin.page.waitForTimeout(2500);
  check(admin.failures.some((text) => text.includes('stageForm: 400')), 'dates in the wrong order are refused', admin.failures);
  await admin.picture('form-refused');
  await admin.fill('Last day', '2026-09-30');
  await admin.press('Save');
  await admin.arrive('draft');
  const text = await admin.text();
  check(text.includes('Makes') && text.includes('Nothing has been changed yet'), 'what it would do is shown first', text);
  check((await admin.field('Services that restart, and whom that interrupts').locator('textarea').inputValue()).includes('smbd restarts'), 'and which services restart');
  await admin.picture('draft-create');
  await admin.press('Do it');
  const said = await admin.task();
  check(said.includes('Done.'), 'the experiment is created', said);
  check(admin.page.url().endsWith(`/experiment/${site.code}`), 'its overview follows', admin.page.url());
  const shown = await admin.text();
  check(shown.includes(TITLE), 'the title is shown as it was written', shown);
  check(shown.includes(`\\\\${new URL(site.url).hostname}\\${site.code}`), 'the line for Windows is there', shown);
  const definition = (await admin.rpc('getForm', { code: site.code })).result;
  check(definition.title === TITLE, 'the title is stored as it was written', definition.title);
  check(definition.people.length === 3 && definition.people[0].name.includes("O'Neil"), 'three people are stored', JSON.stringify(definition.people));
}

async function edit(site, admin) {
  const { check } = site;
  const other = await Visitor.login(site, site.admin);
  await admin.open(`${PAGES}/edit/${site.code}`);
  await other.open(`${PAGES}/edit/${site.code}`);
  await admin.fill('Facility', 'Écolab');
  await admin.press('Save');
  await admin.arrive('draft');
  check((await admin.field('Services that restart, and whom that interrupts').locator('textarea').inputValue()).includes('nobody is interrupted'), 'a description interrupts nobody, and the page says so');
  await admin.press('Back');
  await admin.settle();
  check((await admin.field('Facility').locator('input').inputValue()) === 'Écolab', 'going back loses nothing that was filled in');
  await admin.fill('Platform', 'Ecolab');
  await admin.press('Save');
  await admin.arrive('draft');
  await admin.press('Do it');
  const said = await admin.task();
  check(said.includes('Done.'), 'a description is edited', said);
  check(!said.includes('OpenMediaVault applies'), 'for that OpenMediaVault applies nothing', said);
  await other.fill('Facility', 'Somewhere else');
  await other.press('Save');
  await other.page.waitForTimeout(2500);
  check(other.failures.some((text) => text.includes('changed by somebody else')), 'who began before is told that it changed', other.failures);
  await other.leave();
}

/** What somebody can do who does not take part. */
async function rights(site, admin) {
  const { check } = site;
  await admin.open(`${PAGES}/people/${site.code}`);
  await admin.page.locator('.octonas a', { hasText: 'Those of any other account' }).click();
  await admin.arrive('account');
  await admin.choose('Account', site.stranger.name);
  await admin.press('Show');
  await admin.arrive('rights');
  const rows = await admin.page.locator('.octonas tr', { hasText: site.stranger.name }).allInnerTexts();
  check(rows.length >= 3 && rows.every((row) => !row.includes('✓') && /[a-z]{3}/.test(row.split('—').pop())), 'a stranger can do nothing through any door, and it says why', rows);
  await admin.page.locator('.octonas a', { hasText: 'Everybody' }).click();
  await admin.arrive('people');
  check(await admin.reads(site.write.name), 'and back to everybody', await admin.text());
}

async function papers(site, admin) {
  const { check } = site;
  check((await admin.open(`${PAGES}/document/${site.code}/README.en.html`)).length === 0, 'the README is shown', admin.failures);
  const readme = await admin.text();
  check(readme.includes('<script>alert(1)</script>'), 'what people wrote is text in it', readme);
  check((await admin.page.locator('.octonas script, .octonas img').count()) === 0, 'and nothing else');
  const file = await admin.download(() => admin.page.locator('.octonas a', { hasText: 'Download' }).click());
  check(file.name === `${site.code}-README.en.html` && file.bytes.toString().startsWith('<!DOCTYPE html>'), 'it can be downloaded', file.name);
  await admin.open(`${PAGES}/questions/${site.code}`);
  await admin.row('étalonnage');
  await admin.action('pencil').click();
  await admin.page.waitForTimeout(600);
  await admin.fill('Answer', "L'étalonnage est fait <b>chaque semaine</b> & noté à 100%", admin.dialog());
  await admin.picture('answer');
  await admin.press('Save', admin.dialog());
  await admin.settle();
  check(await admin.reads('chaque semaine'), 'a question of the plan is answered', await admin.text());
  await admin.row('réutilisées');
  await admin.action('pencil').click();
  await admin.page.waitForTimeout(600);
  await admin.field('Choice', admin.dialog()).locator('mat-select').click();
  await admin.page.waitForTimeout(400);
  const words = (await admin.page.locator('mat-option').allInnerTexts()).map((word) => word.trim());
  check(words.join() === 'None,Yes,No', 'a choice offers its own words only', words);
  await admin.picture('choice');
  await admin.page.locator('mat-option', { hasText: 'No' }).last().click();
  await admin.press('Save', admin.dialog());
  await admin.settle();
  const made = (await admin.rpc('getQuestions', { code: site.code, start: 0, limit: null })).result;
  check(made.data.some((row) => row.key === 'reuse' && row.answer === 'no'), 'the choice is made', JSON.stringify(made.data.filter((row) => row.key === 'reuse')));
  await admin.open(`${PAGES}/plan/${site.code}`);
  check(await admin.reads('<b>chaque semaine</b>'), 'the answer is in the plan', await admin.text());
  const told = {};
  for (const language of ['EN', 'FR']) {
    await admin.page.locator('.octonas a', { hasText: new RegExp(`^${language}$`) }).click();
    await admin.arrive('plan');
    told[language] = await admin.page.locator('.octonas .omv-markdown').innerText();
  }
  check(told.EN.length > 500 && told.FR.length > 500 && told.EN !== told.FR, 'the plan is shown in the language that is chosen', told.FR.slice(0, 300));
  for (const [name, ending] of [['Markdown', 'md'], ['RDA maDMP', 'madmp.json'], ['DMP OPIDoR', 'opidor.json'], ['HTML', 'html']]) {
    const plan = await admin.download(() => admin.page.locator('.octonas a', { hasText: new RegExp(`^${name}$`) }).click());
    const sound = ending.endsWith('json') ? JSON.parse(plan.bytes) : plan.bytes.length > 500;
    check(sound && plan.name === `${site.code}-dmp.${ending}`, `the plan can be downloaded as ${name}`, plan.name);
  }
}

async function sources(site, admin) {
  const { check } = site;
  const directory = mkdtempSync(`${tmpdir()}/pages-`);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'plc-1', '-f', `${directory}/key`]);
  await admin.open(`${PAGES}/sources/${site.code}`);
  const kit = await admin.download(() => admin.page.locator('datatable-body-row a', { hasText: 'Download' }).first().click());
  check(kit.name === `${site.code}-plc-1.zip` && kit.bytes.subarray(0, 2).toString() === 'PK', 'the program for the machine is a ZIP archive', kit.name);
  await admin.row('plc-1');
  await admin.action('key').click();
  await admin.page.waitForTimeout(500);
  await admin.fill('Public key', 'not a key', admin.dialog());
  await admin.press('Save', admin.dialog());
  await admin.page.waitForTimeout(2500);
  check(admin.failures.some((text) => text.includes('enrolSource')), 'what is no key is refused', admin.failures);
  await admin.fill('Public key', readFileSync(`${directory}/key.pub`, 'utf8').trim(), admin.dialog());
  await admin.press('Save', admin.dialog());
  await admin.page.waitForSelector('mat-dialog-container', { state: 'detached', timeout: 30000 }).catch(() => check(false, 'the dialog closes', admin.failures));
  await admin.settle();
  check(await admin.reads('SHA256:'), 'a key is let in', await admin.text());
  await admin.picture('sources-with-key');
  await admin.row('plc-1');
  await admin.action('key-remove').click();
  await admin.press('Yes', admin.dialog());
  await admin.page.waitForTimeout(12000);
  await admin.open(`${PAGES}/sources/${site.code}`);
  check(await admin.reads('No key yet'), 'the keys are taken away', await admin.text());
}

async function drift(site, admin) {
  const { check } = site;
  const name = `exp-${site.code}-w`;
  const before = (await admin.rpc('getGroup', { name }, 'UserMgmt')).result;
  const members = before.members.filter((member) => member !== site.write.name);
  const done = await admin.rpc('setGroup', { name, comment: before.comment, members }, 'UserMgmt');
  check(done.status === 200, 'somebody is taken out of the group by hand', done.message);
  await admin.open(`${PAGES}/state/${site.code}`);
  check(await admin.reads('Changed by hand'), 'the page names what was changed by hand', await admin.text());
  check(await admin.reads(`${site.write.name} lost the write access`), 'and what it means', await admin.text());
  await admin.picture('drift');
  await admin.action('wrench').click();
  await admin.press('Yes', admin.dialog());
  await admin.arrive('operation');
  check(await admin.reads('Changes'), 'what the repair would do is shown first', await admin.text());
  await admin.press('Do it');
  const said = await admin.task();
  check(said.includes('Done.'), 'it is repaired', said);
  await admin.open(`${PAGES}/state/${site.code}`);
  check(await admin.reads('No data to display'), 'nothing is left', await admin.text());
}

async function life(site, admin) {
  const { check } = site;
  for (const [icon, status] of [['lock', 'Closed'], ['lock-open-variant', 'Active']]) {
    await admin.open(`${PAGES}/list`);
    await admin.row(site.code);
    await admin.action(icon).click();
    await admin.arrive('operation');
    await admin.picture(`operation-${icon}`);
    await admin.press('Do it');
    const said = await admin.task();
    check(said.includes('Done.'), `${icon}: done`, said);
    await admin.open(`${PAGES}/list`);
    const row = await admin.page.locator('datatable-body-row', { hasText: site.code }).innerText();
    check(row.includes(status), `the list says ${status}`, row);
  }
  await admin.action('heart-pulse').click();
  const said = await admin.task();
  check(said.includes(`${site.code}: in order`), 'all experiments are checked', said);
  await admin.settle();
  const row = await admin.page.locator('datatable-body-row', { hasText: site.code }).innerText();
  check(row.includes('In order'), 'the list says that it is in order', row);
  await admin.open(`${PAGES}/history/${site.code}`);
  const history = await admin.text();
  check(['Created', 'Edited', 'Closed', 'Opened again'].every((word) => history.includes(word)), 'the history tells it all', history);
}

async function before(site) {
  const admin = await Visitor.login(site, site.admin);
  try {
    const steps = { create, edit, rights, papers, sources, drift, life };
    const wanted = site.steps || Object.keys(steps);
    for (const step of wanted.map((name) => steps[name])) {
      try {
        await step(site, admin);
      } catch (error) {
        site.check(false, `${step.name} runs to its end`, error.stack);
        await admin.picture(`failed-${step.name}`);
        await admin.page.reload();
      }
    }
    site.check(admin.alerts.length === 0, 'nothing that somebody wrote was run', admin.alerts);
  } finally {
    await admin.leave();
  }
}

async function after(site) {
  const { check } = site;
  const admin = await Visitor.login(site, site.admin);
  await admin.open(`${PAGES}/list`);
  await admin.row(site.code);
  await admin.action('delete').click();
  await admin.arrive('removal');
  await admin.press('Do it');
  await admin.page.waitForTimeout(500);
  check(await admin.dialog().locator('button', { hasText: 'Yes' }).isDisabled(), 'removing has to be confirmed twice');
  await admin.picture('remove');
  await admin.dialog().locator('mat-checkbox label').click();
  await admin.press('Yes', admin.dialog());
  const said = await admin.task();
  check(said.includes('Done.'), 'the experiment is removed', said);
  await admin.open(`${PAGES}/list`);
  check(!(await admin.text()).includes(site.code), 'it is not in the list any more');
  await admin.leave();
}

export const administrator = { before, after };
