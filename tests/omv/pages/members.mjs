// What members and strangers see and can do, each at a browser of their own.

import { Visitor } from './browser.mjs';

const PAGES = '/services/experiments';
const OF_ONE = ['experiment', 'people', 'team', 'documents', 'plan', 'questions', 'sources', 'deliveries', 'history', 'state', 'edit', 'files', 'integrity', 'packages'];

async function managing(site, visitor) {
  const { check } = site;
  check((await visitor.open(`${PAGES}/team/${site.code}`)).length === 0, 'who manages opens the people', visitor.failures);
  await visitor.add('People', async (dialog) => {
    await visitor.fill('Name', 'New <b>Person</b>', dialog);
    await visitor.fill('Account', site.stranger.name, dialog);
    await visitor.choose('Access', 'Read', dialog);
  });
  await visitor.press('Save');
  await visitor.page.waitForURL(/\/people\//, { timeout: 60000, waitUntil: 'commit' });
  await visitor.settle();
  check(await visitor.reads('New <b>Person</b>'), 'who manages takes somebody in', await visitor.text());
  const stranger = await Visitor.login(site, site.stranger);
  check((await stranger.open(`${PAGES}/experiment/${site.code}`)).length === 0, 'who was taken in sees the experiment', stranger.failures);
  await stranger.leave();
  const team = (await visitor.rpc('getTeam', { code: site.code })).result;
  const people = team.people.filter((person) => person.account !== site.stranger.name);
  const nobody = people.map((person) => ({ ...person, access: person.access === 'manage' ? 'read' : person.access }));
  const refused = await visitor.rpc('setTeam', { code: site.code, from: team.from, people: nobody });
  check(refused.status === 500 && refused.message.includes('nobody would manage'), 'somebody has to manage it', refused.message);
  const out = await visitor.rpc('setTeam', { code: site.code, from: team.from, people });
  check(out.status === 200, 'who manages takes somebody out', out.message);
  await visitor.open(`${PAGES}/questions/${site.code}`);
  await visitor.row('sauvegarde');
  await visitor.action('pencil').click();
  await visitor.page.waitForTimeout(500);
  await visitor.fill('Answer', 'An answer of the one who manages', visitor.dialog());
  await visitor.press('Save', visitor.dialog());
  await visitor.settle();
  check(await visitor.reads('An answer of the one who manages'), 'who manages answers a question');
}

export async function members(site) {
  const { check } = site;
  for (const role of ['manage', 'write', 'read']) {
    const visitor = await Visitor.login(site, site[role]);
    await visitor.open(`${PAGES}/mine`);
    check(await visitor.reads(site.code), `${role}: the experiment is in the list`);
    for (const page of ['experiment', 'people', 'documents', 'plan', 'questions', 'sources', 'deliveries', 'history']) {
      const failures = await visitor.open(`${PAGES}/${page}/${site.code}`);
      check(failures.length === 0, `${role}: ${page} opens`, failures);
      await visitor.picture(page);
    }
    for (const page of ['state', 'edit', 'packages']) {
      const failures = await visitor.open(`${PAGES}/${page}/${site.code}`);
      check(failures.some((text) => text.includes(' 403 ')), `${role}: ${page} is refused`, failures);
    }
    const rights = (await visitor.rpc('getPeople', { code: site.code })).result;
    check(Object.keys(rights.rights_of).join() === site[role].name, `${role}: rights of their own only`, Object.keys(rights.rights_of));
    const asked = (await visitor.rpc('getPeople', { code: site.code, account: 'root' })).result;
    check(Object.keys(asked.rights_of).join() === site[role].name && asked.account === '', `${role}: whomever they ask about`, asked.rights_of);
    if (role === 'manage') {
      await managing(site, visitor);
    } else {
      const team = (await visitor.rpc('getTeam', { code: site.code })).result;
      for (const [method, params] of [
        ['setTeam', team],
        ['setAnswer', { code: site.code, question: 'reuse', text: 'x' }],
        ['buildPlan', { code: site.code }],
        ['enrolSource', { code: site.code, source: 'plc-1', key: 'x' }],
        ['revokeSource', { code: site.code, source: 'plc-1' }],
        ['downloadKit', { code: site.code, source: 'plc-1' }],
      ]) {
        const answer = await visitor.rpc(method, params);
        check(answer.status === 403, `${role}: ${method} is refused`, `${answer.status} ${answer.message}`);
      }
    }
    check(visitor.alerts.length === 0, `${role}: nothing that somebody wrote was run`, visitor.alerts);
    await visitor.leave();
  }
  const stranger = await Visitor.login(site, site.stranger);
  await stranger.open(`${PAGES}/mine`);
  check(!(await stranger.text()).includes(site.code), 'a stranger: the experiment is not in the list');
  for (const page of OF_ONE) {
    const failures = await stranger.open(`${PAGES}/${page}/${site.code}`);
    check(failures.some((text) => / 40[34] /.test(text)), `a stranger: ${page} is refused`, failures);
    check(!(await stranger.text()).includes('R&D'), `a stranger: ${page} shows nothing`, await stranger.text());
  }
  await stranger.picture('refused');
  await stranger.leave();
}
