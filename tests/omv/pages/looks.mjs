// Every page, in both languages, wide and narrow, for people to look at; and no text left in English on the French ones.

import { NARROW, Visitor, WIDE } from './browser.mjs';

const PAGES = '/services/experiments';
const ENGLISH = ['In order', 'Not checked', 'Open question', 'Answered', 'Responsible', 'Effective rights', 'How to reach it', 'Machines that deliver', 'What was done', 'Add a person', 'The experiment', 'Last good check', 'Set for tonight', 'What it would do', 'Storage', 'How old the checks are', 'Copies in', 'Make a package', 'Search', 'Nothing has been changed yet. This is what it would do, and whom it would interrupt.'];

// A view asks no more than a page of OpenMediaVault's own of the same kind. What the frame of all pages asks is not counted.
const FRAME = /^(Config\.isDirty|System\.|WebGui\.|Session\.|Notification|Services\.|Apt\.)/;
const own = (site) => ({ table: ['/services/smb/shares', '/storage/sharedfolders'], form: ['/services/smb/shares/create', '/services/rsync/modules/create', `/usermgmt/users/edit/${site.write.name}`] });
const FORMS = ['create', 'edit', 'team', 'settings', 'takeover', 'import', 'search', 'examine', 'package', 'restore', 'operation', 'removal', 'account'];
const ONE = ['experiment', 'people', 'account', 'documents', 'plan', 'questions', 'files', 'folder', 'search', 'found', 'integrity', 'examine', 'packages', 'package', 'operation', 'removal', 'sources', 'deliveries', 'history', 'state', 'edit', 'team'];
const ASKED = { folder: '?folder=raw', found: '?text=raw', operation: '?operation=close', removal: '?operation=remove', examine: '?work=verify' };
const url = (page, code) => `${page}/${code}${ASKED[page] || ''}`;

async function counts(site) {
  const { check } = site;
  const admin = await Visitor.login(site, site.admin);
  const asked = async (page) => {
    await admin.open(page);
    return admin.asked.filter((name) => !FRAME.test(name));
  };
  const most = {};
  for (const [kind, pages] of Object.entries(own(site))) {
    for (const page of pages) most[kind] = Math.max(most[kind] || 1, (await asked(page)).length);
  }
  for (const page of ['list', 'create', 'import', 'takeover', 'adoptable', 'bases', 'layouts', 'settings', 'doctor', 'tonight', 'archives', 'restore', ...ONE.map((one) => url(one, site.code))]) {
    const kind = FORMS.includes(page.split('/')[0]) ? 'form' : 'table';
    const ours = await asked(`${PAGES}/${page}`);
    check(ours.length <= most[kind], `${page.split('/')[0]} asks ${ours.length} times, OpenMediaVault's own ${kind} up to ${most[kind]}`, ours);
  }
  await admin.leave();
}

/** What an administrator may have on the first page of the panel. */
async function dashboard(site, locale) {
  const { check } = site;
  const [title, save] = locale === 'fr-FR' ? ['Expériences - ', 'Enregistrer'] : ['Experiments - ', 'Save'];
  const admin = await Visitor.login(site, site.admin, locale);
  await admin.open('/dashboard/settings');
  const ours = admin.page.locator('mat-list-option', { hasText: title });
  const count = await ours.count();
  let chosen = 0;
  for (let i = 0; i < count; i += 1) {
    // OpenMediaVault remembers what somebody chose, on the server.
    if ((await ours.nth(i).getAttribute('aria-selected')) === 'true') continue;
    await ours.nth(i).click();
    await admin.page.waitForTimeout(300);
    chosen += 1;
  }
  await admin.picture('dashboard-settings');
  admin.failures.length = 0;
  if (chosen > 0) {
    await admin.press(save);
    await admin.page.waitForURL(/dashboard$/);
    await admin.settle();
  } else {
    await admin.open('/dashboard');
  }
  const asked = ['Octonas.getStats', 'Octonas.getStorage', 'Octonas.getSilentSources'].filter((name) => admin.asked.includes(name));
  check(count === 3 && asked.length === 3 && admin.failures.length === 0, `${locale}: three widgets are on the dashboard`, [count, asked, admin.failures]);
  check(await admin.reads(site.code), `${locale}: they tell of the experiment`, await admin.text());
  await admin.picture('dashboard');
  await admin.leave();
}

export async function looks(site) {
  const { check } = site;
  const one = ONE;
  const pages = ['', '/list', '/create', '/import', '/takeover', '/adoptable', '/bases', '/layouts', '/layout/climate-chamber', '/settings', '/doctor', '/tonight', '/archives', '/restore', ...one.map((page) => `/${url(page, site.code)}`), `/file/${site.code}?path=raw%252Fone.csv`, `/document/${site.code}/README.fr.html`, `/rights/${site.code}?account=${site.stranger.name}`];
  for (const locale of ['en-US', 'fr-FR']) {
    for (const viewport of [WIDE, NARROW]) {
      const admin = await Visitor.login(site, site.admin, locale, viewport);
      for (const page of pages) {
        const failures = await admin.open(`${PAGES}${page}`);
        const name = page.split('/')[1] || 'menu';
        check(failures.length === 0, `${locale} ${viewport.width}: ${name} opens`, failures);
        await admin.picture(name);
        if (locale === 'fr-FR') {
          const text = await admin.text();
          const left = ENGLISH.filter((english) => text.split('\n').some((line) => line.trim() === english));
          check(left.length === 0, `${locale} ${viewport.width}: ${name} is French`, left);
        }
      }
      await admin.leave();
    }
  }
  await dashboard(site, 'en-US');
  await dashboard(site, 'fr-FR');
  await counts(site);
  // Members and a stranger; what is refused has a page too.
  for (const role of ['manage', 'write', 'read', 'stranger']) {
    for (const locale of ['en-US', 'fr-FR']) {
      const visitor = await Visitor.login(site, site[role], locale);
      for (const page of ['', '/mine', ...one.map((name) => `/${url(name, site.code)}`)]) {
        await visitor.open(`${PAGES}${page}`);
        await visitor.picture(page.split('/')[1] || 'menu');
      }
      check(visitor.alerts.length === 0, `${role} ${locale}: every page has its picture`, visitor.alerts);
      await visitor.leave();
    }
  }
}
