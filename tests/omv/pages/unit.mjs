// What the unit says for all its experiments: the settings, the layouts, the folders.

import { Visitor } from './browser.mjs';

const PAGES = '/services/experiments';
const NAME = 'Écotron "IDF" R&D <b>100%</b> 🧪';

export async function unit(site) {
  const { check } = site;
  const admin = await Visitor.login(site, site.admin);
  const found = (await admin.rpc('getSettings', null)).result;
  const before = { ...found, organisation: '', ror: '', years: '', contact: '', licence: '', layout: 'minimal' };
  check((await admin.rpc('setSettings', before)).status === 200, 'settings can be taken back');
  const waiting = (await admin.rpc('isDirty', {}, 'Config')).result;
  check((await admin.open(`${PAGES}/settings`)).length === 0, 'the settings open', admin.failures);
  await admin.fill('Organisation', NAME);
  await admin.fill('ROR', 'https://ror.org/00000');
  await admin.page.keyboard.press('Tab');
  check(await admin.reads('A ROR looks like'), 'a wrong ROR is named at its field');
  await admin.fill('ROR', '03yrm5c26');
  await admin.fill('Years for which it is kept', '12');
  await admin.choose('Licence', 'CC BY 4.0');
  await admin.fill('To whom', 'data@example.org');
  // Somebody else saves first.
  const other = await Visitor.login(site, site.admin, 'fr-FR');
  await other.open(`${PAGES}/settings`);
  await admin.press('Save');
  await admin.page.waitForURL(/services\/experiments$/, { timeout: 20000, waitUntil: 'commit' }).catch(() => {});
  await admin.settle();
  const stored = (await admin.rpc('getSettings', null)).result;
  check(stored.organisation === NAME && stored.ror === 'https://ror.org/03yrm5c26' && stored.years === '12', 'the settings are stored as they were written', JSON.stringify(stored));
  const dirty = await admin.rpc('isDirty', {}, 'Config');
  check(dirty.result === waiting, 'nothing waits to be applied by it', dirty.result);
  await other.page.locator('input').first().fill('Autre');
  await other.press('Enregistrer');
  await other.settle();
  check(other.failures.some((text) => text.includes("Quelqu'un d'autre a modifié les paramètres")), 'who began before is told that they changed, in French', other.failures);
  await other.leave();
  check((await admin.open(`${PAGES}/create`)).length === 0, 'the form of a new experiment opens', admin.failures);
  const value = (label) => admin.field(label).locator('input').first().inputValue();
  check((await value('Facility')) === NAME && (await value('Years for which it is kept')) === '12', 'a new experiment begins with what the unit says');
  check(await admin.page.locator('input').first().isEnabled(), 'its code can be written');
  for (const [field, text] of [['ror', 'nonsense'], ['years', '1000'], ['night', '24'], ['contact', '@'], ['layout', '../x'], ['base', '/srv/nowhere'], ['organisation', '["a"]'], ['licence', '%s'], ['language', 'de']]) {
    const now = (await admin.rpc('getSettings', null)).result;
    const answer = await admin.rpc('setSettings', { ...now, [field]: text });
    check([400, 500].includes(answer.status) && answer.message, `${field}=${text} is refused`, `${answer.status} ${answer.message}`);
  }
  const now = (await admin.rpc('getSettings', null)).result;
  check(now.from === stored.from, 'and nothing is changed by it', JSON.stringify(now));
  await admin.rpc('setSettings', { ...before, from: now.from });
  check((await admin.open(`${PAGES}/layouts`)).length === 0 && (await admin.reads('climate-chamber')), 'the layouts are listed', admin.failures);
  await admin.page.locator('datatable-body-row a', { hasText: 'climate-chamber' }).click();
  await admin.settle();
  check(admin.page.url().endsWith('/layout/climate-chamber') && (await admin.reads("name: climate-chamber")), 'a layout is shown', await admin.text());
  await admin.open(`${PAGES}/bases`);
  await admin.page.locator('datatable-body-row').first().click();
  await admin.action('heart-pulse').click();
  const said = await admin.task();
  check(said.includes('can be used') && said.includes('works'), 'a folder of experiments is examined', said);
  const base = (await admin.rpc('enumerateBases', null)).result[0].path;
  const way = await admin.taskOf((await admin.rpc('shareBase', { path: base, share: 'own', tonight: 'true' })).result);
  check(way.includes('It will be done at night'), 'how a folder is shared waits for the night', way);
  await admin.open(`${PAGES}/tonight`);
  check((await admin.reads(base)) && (await admin.reads('Change how the experiments are shared')), 'it is in the table by its path', await admin.text());
  await admin.row(base);
  await admin.action('cancel').click();
  await admin.press('Yes', admin.dialog());
  await admin.settle();
  check(!(await admin.text()).includes(base), 'and taken back', await admin.text());
  await admin.leave();
  for (const role of ['manage', 'stranger']) {
    const visitor = await Visitor.login(site, site[role]);
    for (const [method, params] of [['getSettings', null], ['setSettings', before], ['getLayouts', { start: 0, limit: null }], ['getLayout', { name: 'minimal' }], ['checkBase', { path: '/srv' }]]) {
      const answer = await visitor.rpc(method, params);
      check(answer.status === 403, `${role}: ${method} is for administrators`, `${answer.status} ${answer.message}`);
    }
    await visitor.leave();
  }
}
