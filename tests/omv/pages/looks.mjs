// Every page, in both languages, wide and narrow, for people to look at; and no text left in English on the French ones.

import { NARROW, Visitor, WIDE } from './browser.mjs';

const PAGES = '/services/experiments';
const ENGLISH = ['In order', 'Not checked', 'Open question', 'Answered', 'Responsible', 'Effective rights', 'How to reach it', 'Machines that deliver', 'What was done', 'Add a person', 'The experiment'];

export async function looks(site) {
  const { check } = site;
  const one = ['experiment', 'people', 'documents', 'plan', 'questions', 'sources', 'deliveries', 'history', 'state', 'edit', 'team'];
  const pages = ['', '/list', '/create', '/import', '/bases', '/doctor', ...one.map((page) => `/${page}/${site.code}`), `/document/${site.code}/README.fr.html`];
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
  // Members and a stranger; what is refused has a page too.
  for (const role of ['manage', 'write', 'read', 'stranger']) {
    for (const locale of ['en-US', 'fr-FR']) {
      const visitor = await Visitor.login(site, site[role], locale);
      for (const page of ['', '/mine', ...one.map((name) => `/${name}/${site.code}`)]) {
        await visitor.open(`${PAGES}${page}`);
        await visitor.picture(page.split('/')[1] || 'menu');
      }
      check(visitor.alerts.length === 0, `${role} ${locale}: every page has its picture`, visitor.alerts);
      await visitor.leave();
    }
  }
}
