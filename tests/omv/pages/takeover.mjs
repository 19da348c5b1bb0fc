// A directory that is in use becomes an experiment, is removed, and comes back: each time what it would mean is shown first.
// The directory `site.old` = {"code", "path"} was laid down before, and belongs to the stranger.

import { Visitor } from './browser.mjs';

const PAGES = '/services/experiments';

/** What `button` would do waits for the night, is told on the page of what waits, and is taken back there. */
async function waits(site, admin, button, words) {
  const { check } = site;
  await admin.page.locator('mat-checkbox label', { hasText: 'Do it at night' }).click();
  await admin.page.waitForTimeout(400);
  check(/^[0-9]{2}:00$/.test(await admin.field('It begins at').locator('input').inputValue()), `${button}: when the night begins`);
  await admin.press(button);
  await admin.dialog().locator('mat-checkbox label').click();
  await admin.press('Yes', admin.dialog());
  const said = await admin.task();
  check(said.includes('It will be done at night'), `${button}: it is set for the night`, said);
  check(admin.page.url().endsWith('/tonight') && (await admin.reads(words)), `${button}: it is in the table`, await admin.text());
  await admin.row(site.old.code);
  await admin.action('cancel').click();
  await admin.press('Yes', admin.dialog());
  await admin.settle();
  check(await admin.reads('No data to display'), `${button}: and taken back`, await admin.text());
}

async function imports(site, admin) {
  const { check } = site;
  check((await admin.open(`${PAGES}/takeover`)).length === 0, 'the form of an import opens', admin.failures);
  await admin.fill('Or a directory that is not shared', '/srv/no such directory');
  await admin.fill('Code', site.old.code);
  await admin.fill('Title', 'Old R&D <b>lake</b> 100%');
  await admin.add('People', async (dialog) => {
    await admin.fill('Name', 'Ada <i>L</i>', dialog);
    await admin.fill('Account', site.manage.name, dialog);
    await admin.page.keyboard.press('Tab');
    await admin.choose('Access', 'Manage', dialog);
  });
  await admin.press('Show what it would mean');
  await admin.page.waitForTimeout(2500);
  check(admin.failures.some((text) => text.includes('stageImport') && text.includes('neither a shared folder')), 'a directory that is not there is named', admin.failures);
  await admin.fill('Or a directory that is not shared', site.old.path);
  await admin.picture('takeover-filled');
  await admin.press('Show what it would mean');
  await admin.page.waitForURL(/takeoverplan/, { timeout: 30000, waitUntil: 'commit' });
  await admin.settle();
  const text = await admin.text();
  check(text.includes(site.stranger.name) && text.includes('Loses access'), 'who loses access is shown', text);
  check(text.includes(site.manage.name) && text.includes('As before'), 'who keeps access is shown', text);
  check(text.includes('Whose files these are') && text.includes('Makes'), 'owners and steps are shown', text);
  await admin.picture('takeover-plan');
  const plan = (await admin.rpc('getImport', null)).result;
  const wrong = await admin.rpc('import', { plan: '0'.repeat(16) });
  const ended = await admin.taskOf(wrong.result);
  check(ended.includes('not what was looked at'), 'another plan than the one that was shown is refused', ended);
  check((await admin.rpc('getImport', null)).result.plan === plan.plan, 'nothing was changed until it is confirmed');
  await waits(site, admin, 'Import', 'Make an experiment of a directory');
  await admin.open(`${PAGES}/takeoverplan`);
  await admin.press('Import');
  await admin.dialog().locator('mat-checkbox label').click();
  await admin.press('Yes', admin.dialog());
  const said = await admin.task();
  check(said.includes('Done.'), 'the directory is imported', said);
  check((await admin.open(`${PAGES}/experiment/${site.old.code}`)).length === 0 && (await admin.reads('Old R&D <b>lake</b> 100%')), 'it is an experiment', admin.failures);
}

async function adopts(site, admin) {
  const { check } = site;
  const removed = await admin.taskOf((await admin.rpc('carryOut', { code: site.old.code, operation: 'remove' })).result);
  check(removed.includes('Done.'), 'it is removed', removed);
  check((await admin.open(`${PAGES}/adoptable`)).length === 0 && (await admin.reads(site.old.path)), 'what could be adopted is listed', admin.failures);
  check(await admin.reads('Removed here'), 'and why it is not in service');
  await admin.picture('adoptable');
  await admin.row(site.old.code);
  await admin.action('tray-arrow-down').click();
  await admin.settle();
  const text = await admin.text();
  check(admin.page.url().includes('/takein?') && text.includes(site.manage.name), 'who was in it is shown', text);
  const place = admin.page.url();
  await admin.choose('Who keeps their access', `${site.manage.name} – Ada <i>L</i>`);
  await waits(site, admin, 'Adopt', `Who keeps their access: ${site.manage.name}`);
  await admin.open(place.slice(place.indexOf(PAGES)));
  await admin.choose('Who keeps their access', `${site.manage.name} – Ada <i>L</i>`);
  await admin.picture('adopt');
  await admin.press('Adopt');
  await admin.dialog().locator('mat-checkbox label').click();
  await admin.press('Yes', admin.dialog());
  const said = await admin.task();
  check(said.includes('Done.'), 'it is adopted', said);
  const member = await Visitor.login(site, site.manage, 'fr-FR');
  await member.open(`${PAGES}/mine`);
  check(await member.reads(site.old.code), 'who was chosen has access again', await member.text());
  await member.leave();
  const again = await admin.taskOf((await admin.rpc('carryOut', { code: site.old.code, operation: 'remove', locale: 'fr' })).result);
  check(again.includes('Terminé.') && again.includes('retirer : '), 'a task is told in French to whoever asks in French', again);
}

export async function takeover(site) {
  const { check } = site;
  if (!site.old) return;
  const admin = await Visitor.login(site, site.admin);
  await imports(site, admin);
  await adopts(site, admin);
  check(admin.alerts.length === 0, 'nothing that somebody wrote was run', admin.alerts);
  await admin.leave();
  const visitor = await Visitor.login(site, site.manage);
  for (const [method, params] of [['stageImport', { path: '/srv' }], ['getImport', null], ['import', { plan: '' }], ['getAdoptable', { start: 0, limit: null }], ['getAdoption', { dir: site.old.path }], ['enumerateAdoptionAccounts', { dir: site.old.path }], ['adopt', { dir: site.old.path, plan: '' }]]) {
    const answer = await visitor.rpc(method, params);
    check(answer.status === 403, `who manages one: ${method} is for administrators`, `${answer.status} ${answer.message}`);
  }
  await visitor.leave();
}
