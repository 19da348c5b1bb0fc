// Requests that no page makes: wrong types, missing and extra keys, texts that break careless programs, wrong people.

import { request } from 'playwright-core';
import { Visitor } from './browser.mjs';

const NASTY = ['%', '100%s%n', 'R&D', '<script>alert(1)</script>', '\'"`$(id)', 'a\nb\r\nc', '🧪🔥', '../../etc/passwd', '{{ 7*7 }}', '\u0000', '', 'x'.repeat(70000)];
const WRONG = [null, 7, -1, 1.5, true, [], {}, [1], { code: 'x' }, 'Text'];
const page = { start: 0, limit: 25 };
const METHODS = {
  getList: page, get: {}, getTeam: {}, setTeam: { from: '0'.repeat(64), people: [] }, getPeople: {}, getDocuments: page,
  getDocument: { name: 'README' }, getPlan: {}, buildPlan: {}, getQuestions: page, setAnswer: { question: 'reuse', text: 'x' },
  getSources: page, getDeliveries: page, enrolSource: { source: 'plc-1', key: 'x' }, revokeSource: { source: 'plc-1' },
  getHistory: page, downloadDefinition: {}, downloadDocument: { name: 'README' }, downloadPlan: {}, downloadKit: { source: 'plc-1' },
  enumerateLayouts: null, getForm: {}, stageForm: { title: 'x' }, getDraft: null,
  getOperation: { operation: 'close' }, carryOut: { operation: 'close' }, getTonight: page, cancelTonight: { name: '/srv' }, runTonight: { name: '/srv' },
  getFiles: { here: 'files' }, searchFiles: { here: 'found' }, getFile: { path: 'raw' }, getIntegrity: {}, examine: { work: 'scan' },
  getArchives: page, createPackage: { path: '/srv/nowhere', format: 'zip' }, verifyPackage: { path: '/srv/nowhere' },
  restore: { package: '/srv/nowhere', as: 'other-2' }, archive: {}, verifyArchive: {}, thin: { confirm: 'x1' },
  getState: page, ingest: {}, buildDocuments: {}, getBases: page, enumerateBases: null, addBase: { mntentref: 'x', reldirpath: 'x' },
  getDoctor: page, getStats: null, getStorage: null, getSilentSources: null, check: null,
  enumerateAccounts: {}, getSettings: null, setSettings: { from: '0'.repeat(64) }, getLayouts: page, getLayout: { name: 'minimal' },
  checkBase: { path: '/srv' }, shareBase: { path: '/srv', share: 'own' }, stageImport: { path: '/srv/nowhere' }, getImport: null,
  import: { plan: '' }, getAdoptable: page, getAdoption: { dir: '/srv/nowhere' }, enumerateAdoptionAccounts: { dir: '/srv/nowhere' },
  adopt: { dir: '/srv/nowhere', plan: '' },
};
// What has no experiment: the parameter that names what it is about.
const SUBJECTS = {
  setSettings: 'organisation', getLayout: 'name', checkBase: 'path', shareBase: 'path', stageImport: 'path', import: 'plan',
  getAdoption: 'dir', enumerateAdoptionAccounts: 'dir', adopt: 'dir', verifyPackage: 'path', restore: 'package',
  cancelTonight: 'name', runTonight: 'name',
};
const ADMIN = ['getForm', 'stageForm', 'getDraft', 'getOperation', 'carryOut', 'getTonight', 'cancelTonight', 'runTonight', 'examine', 'getArchives', 'createPackage', 'verifyPackage', 'restore', 'archive', 'verifyArchive', 'thin', 'check', 'getState', 'ingest', 'buildDocuments', 'getBases', 'enumerateBases', 'addBase', 'getDoctor', 'getSilentSources', 'getSettings', 'setSettings', 'getLayouts', 'getLayout', 'checkBase', 'shareBase', 'stageImport', 'getImport', 'import', 'getAdoptable', 'getAdoption', 'enumerateAdoptionAccounts', 'adopt'];
// Of these the experiment may be left out.
const OPTIONAL = ['getForm', 'enumerateAccounts', 'getArchives'];
// 401 and 503 would log the user out; 504 means that nobody answered.
const calm = (answer) => ![401, 503, 504].includes(answer.status) && (answer.status === 200 || typeof answer.message === 'string');

/** Texts that break careless programs, where a path, a name or a plan is asked for. What begins a task ends in an error. */
async function subjects(site, admin) {
  for (const [method, name] of Object.entries(SUBJECTS)) {
    const bad = [];
    for (const given of [...NASTY, ...WRONG, `/srv/${'x'.repeat(5000)}`, '/srv/../etc', '/']) {
      const answer = await admin.rpc(method, { ...METHODS[method], [name]: given, locale: given });
      const ended = answer.status === 200 && typeof answer.result === 'string' && answer.result.startsWith('/tmp/bgstatus') ? await admin.taskOf(answer.result) : null;
      const refused = ended === null ? answer.status !== 200 : !ended.includes('Done.') && !ended.includes('Terminé.');
      if (!calm(answer) || !refused) bad.push(`${JSON.stringify(given)?.slice(0, 40)}: ${answer.status} ${answer.message} ${ended}`);
    }
    for (const params of [null, [], 'text', 7, {}, { ...METHODS[method], nonsense: 1 }]) {
      const answer = await admin.rpc(method, params);
      if (!calm(answer) || answer.status === 200) bad.push(`${JSON.stringify(params)}: ${answer.status} ${answer.message}`);
    }
    site.check(bad.length === 0, `${method}: what it cannot be about is refused`, bad.join(' | '));
  }
}

export async function abuse(site) {
  const { check } = site;
  const admin = await Visitor.login(site, site.admin);
  const before = JSON.stringify((await admin.rpc('get', { code: site.code })).result);
  for (const [method, rest] of Object.entries(METHODS)) {
    if (rest === null || ['stageForm', 'getTonight', 'getList', 'getBases', 'addBase', 'getDoctor', 'getSilentSources', 'getLayouts', 'getAdoptable', ...Object.keys(SUBJECTS)].includes(method)) continue;
    const bad = [];
    for (const code of [...NASTY, ...WRONG]) {
      const answer = await admin.rpc(method, { ...rest, code });
      const allowed = OPTIONAL.includes(method) && (code === '' || answer.status === 400 || (Array.isArray(code) && !code.length));
      if (!calm(answer) || (answer.status === 200 && !allowed)) bad.push(`${JSON.stringify(code)?.slice(0, 40)}: ${answer.status} ${answer.message}`);
    }
    for (const params of [null, [], 'text', 7, {}]) {
      const answer = await admin.rpc(method, params);
      if (!calm(answer) || (answer.status === 200 && !OPTIONAL.includes(method))) bad.push(`${JSON.stringify(params)}: ${answer.status} ${answer.message}`);
    }
    check(bad.length === 0, `${method}: codes that are none are refused`, bad.join(' | '));
  }
  await subjects(site, admin);
  for (const text of NASTY) {
    const answers = [
      await admin.rpc('getDocument', { code: site.code, name: text }),
      await admin.rpc('setAnswer', { code: site.code, question: text, text: 'x' }),
      await admin.rpc('stageForm', { code: 'other-1', title: text, people: text }),
      await admin.rpc('stageForm', { definition: text }),
      await admin.rpc('enrolSource', { code: site.code, source: 'plc-1', key: text }),
      await admin.rpc('getList', { start: 0, limit: 25, search: text }),
    ];
    const bad = answers.slice(0, 5).filter((answer) => !calm(answer) || answer.status === 200);
    check(bad.length === 0 && calm(answers[5]), `${JSON.stringify(text).slice(0, 30)} is refused calmly`, JSON.stringify(bad).slice(0, 400));
  }
  const extra = await admin.rpc('carryOut', { code: site.code, operation: 'close', 'delete-data': site.code, 'dry-run': 'x', mend: 7 });
  check(extra.status === 400 && extra.message.includes('no parameter'), 'keys that nobody asked for are refused', extra.message);
  for (const key of ['zip', 'output', 'watch', 'dry-run']) {
    const kit = await admin.rpc('downloadKit', { code: site.code, source: 'plc-1', [key]: '/tmp/otest-pages-stray' });
    check(kit.status === 400 && kit.message.includes(`'${key}'`), `a kit cannot be written elsewhere by ${key}`, kit.message);
  }
  check((await admin.rpc('noSuchMethod', {})).status === 404, 'a method that does not exist is unknown');
  const after = (await admin.rpc('get', { code: site.code })).result;
  check(JSON.parse(before).definition.title === after.definition.title && after.definition.status === 'active', 'the experiment is what it was', after.definition.status);
  const all = await Promise.all(Array.from({ length: 20 }, () => admin.rpc('getList', page)));
  check(all.every((answer) => answer.status === 200), 'twenty at once are answered', all.map((answer) => answer.status));
  await admin.leave();

  const stranger = await Visitor.login(site, site.stranger);
  for (const [method, rest] of Object.entries(METHODS)) {
    const open = ['getList', 'enumerateLayouts', 'getStats', 'getStorage'].includes(method);
    const answer = await stranger.rpc(method, open ? rest : { ...rest, code: site.code });
    const right = open ? answer.status === 200 && !JSON.stringify(answer.result).includes(site.code) : [400, 403, 404].includes(answer.status);
    check(right && calm(answer), `a stranger: ${method}`, `${answer.status} ${answer.message}`);
    if (ADMIN.includes(method)) check(answer.status === 403, `a stranger: ${method} is for administrators`, answer.status);
  }
  await stranger.leave();

  const nobody = await request.newContext();
  for (const method of Object.keys(METHODS)) {
    const response = await nobody.post(`${site.url}rpc.php`, { data: { service: 'Octonas', method, params: { ...METHODS[method], code: site.code } } });
    const body = await response.text();
    check(response.status() >= 400 && !body.includes('R&D'), `without a session: ${method} is refused`, `${response.status()} ${body.slice(0, 200)}`);
  }
  await nobody.dispose();
}
