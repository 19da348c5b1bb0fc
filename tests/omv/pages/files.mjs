// The files of an experiment: by folder, searched, looked at, checked, packaged, archived; and that nobody else sees them.
// `site.shell` is the beginning of a command that runs another one as root on the NAS.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Visitor } from './browser.mjs';

const PAGES = '/services/experiments';
const run = promisify(execFile);
// No slash: it is the name of a file.
const NASTY = '100% #1 <b>R&D "q" é.csv';
const MANY = 120;

/** Data of a real kind, old enough to be no upload under way, and what breaks careless pages. */
async function lay(site, admin) {
  const root = (text) => run(site.shell[0], [...site.shell.slice(1), text]);
  const { path } = (await admin.rpc('get', { code: site.code })).result;
  const raw = `${path}/raw`;
  await root(`set -e; mkdir -p ${raw}/many '${raw}/a b+c %41'
    printf 'time,temperature,CO2\\n2026-03-01T00:00:00,1.5,400\\n2026-03-01T01:00:00,1.6,401\\n' >${raw}/one.csv
    printf 'time,humidity\\n2026-04-01T00:00:00,50\\n2026-04-02T00:00:00,51\\n' >'${raw}/a b+c %41/two.csv'
    for i in $(seq 100 ${99 + MANY}); do echo $i >${raw}/many/$i.txt; done
    cp ${raw}/one.csv '${raw}/${NASTY}'
    find ${raw} -type f -exec touch -d "2026-11-01 10:00:$(shuf -i 10-59 -n1)" {} +`);
  return { root, path, raw };
}

async function examine(site, admin, work, fill = async () => {}) {
  await admin.open(`${PAGES}/examine/${site.code}?work=${work}`);
  await fill();
  await admin.press('Begin');
  return admin.task();
}

async function folders(site, admin) {
  const { check } = site;
  check((await admin.open(`${PAGES}/files/${site.code}`)).length === 0, 'the files open before anybody looked through them', admin.failures);
  check(await admin.reads('Nobody has looked through all'), 'and the page says so', await admin.text());
  await admin.picture('files-none');
  await admin.page.locator('.octonas a', { hasText: 'Look through them now' }).click();
  await admin.settle();
  await admin.picture('examine');
  await admin.press('Begin');
  const said = await admin.task();
  check(/: \d+ files; new: \d+/.test(said) && said.includes('Done.'), 'the files are looked through, in a task', said);
  check(admin.page.url().includes(`/integrity/${site.code}`), 'the page of the integrity follows', admin.page.url());
  const go = async (name) => {
    await admin.page.locator('.octonas a', { hasText: name }).first().click();
    await admin.settle();
  };
  check((await admin.open(`${PAGES}/files/${site.code}`)).length === 0, 'the files open', admin.failures);
  await go('raw/');
  check(await admin.reads('one.csv'), 'a folder opens', await admin.text());
  const text = await admin.text();
  check(text.includes('csv') && /[0-9a-f]{12}…/.test(text) && text.includes('ago)'), 'with format, checksum, and the age of the answer', text);
  check(text.includes(NASTY), 'a file with a strange name is shown as it is', text);
  await admin.picture('files');
  await go(NASTY);
  check((await admin.reads(`raw/${NASTY}`)) && (await admin.reads('CO2')), 'and can be looked at', await admin.text());
  await go('raw');
  await go('a b+c %41/');
  check(await admin.reads('two.csv'), 'a folder with a strange name opens', await admin.text());
  await go('raw');
  check(await admin.reads('one.csv'), 'and the way back leads out of it', await admin.text());
  await go('many/');
  check((await admin.reads('100.txt')) && !(await admin.text()).includes('210.txt'), 'of a folder with many files a page is shown');
  await go('Next page');
  check((await admin.reads('210.txt')) && !(await admin.text()).includes('100.txt'), 'and then the next');
  await admin.page.goBack();
  await admin.settle();
  check(await admin.reads('100.txt'), 'the way back of the browser works', await admin.text());
}

async function found(site, admin) {
  const { check } = site;
  const search = async (fill) => {
    await admin.open(`${PAGES}/files/${site.code}`);
    await admin.open(`${PAGES}/search/${site.code}`);
    await fill();
    await admin.press('Search');
    await admin.arrive('found');
    return admin.text();
  };
  let text = await search(() => admin.fill('Path', '%41'));
  check(text.includes('a b+c %41/two.csv') && !text.includes('one.csv'), 'files are found by a part of their path', text);
  text = await search(() => admin.fill('Variable or column', 'Temperature'));
  check(text.includes('raw/one.csv') && !text.includes('two.csv'), 'by a column', text);
  await admin.picture('found');
  text = await search(async () => {
    await admin.choose('Format', 'CSV');
    await admin.fill('Data from', '2026-03-15');
  });
  check(text.includes('two.csv') && !text.includes('one.csv'), 'by format and time', text);
  await admin.page.locator('.octonas a', { hasText: 'Search again' }).click();
  await admin.settle();
  check((await admin.field('Data from').locator('input').inputValue()) === '2026-03-15', 'a search can be changed', await admin.text());
  await admin.picture('search');
  text = await search(() => admin.fill('Path', '*/many/*.txt'));
  check(text.includes('100.txt'), 'by a pattern', text);
  await admin.page.locator('.octonas a', { hasText: 'Next page' }).click();
  await admin.settle();
  check(await admin.reads('219.txt'), 'page by page', await admin.text());
  await admin.page.locator('.octonas a', { hasText: '219.txt' }).click();
  await admin.settle();
  check((await admin.reads('raw/many/219.txt')) && /[0-9a-f]{64}/.test(await admin.text()), 'a file shows its whole checksum', await admin.text());
  await admin.open(`${PAGES}/files/${site.code}`);
  await admin.open(`${PAGES}/file/${site.code}?path=${encodeURIComponent(encodeURIComponent('raw/one.csv'))}`);
  check((await admin.reads('CO2')) && (await admin.reads('temperature')), 'and the columns in it', await admin.text());
  await admin.picture('file');
}

async function integrity(site, admin, { root, path, raw }) {
  const { check } = site;
  let said = await examine(site, admin, 'verify', async () => {
    await admin.fill('Only what was not checked for so many days', '0');
    await admin.fill('At most so many MiB a second', '500');
  });
  check(/files that hold what they should: \d+; with which something is wrong: 0/.test(said), 'all files are read again', said);
  await admin.open(`${PAGES}/integrity/${site.code}`);
  check((await admin.reads('Nothing is wrong')) && (await admin.reads('Within 30 days')), 'the page shows how old the checks are', await admin.text());
  await admin.picture('integrity');
  // One byte turns, and the times do not.
  await root(`f=${raw}/many/150.txt; t=$(stat -c %y $f); printf x | dd of=$f conv=notrunc status=none; touch -d "$t" $f; sync; echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true`);
  said = await examine(site, admin, 'verify');
  check(said.includes('many/150.txt') && said.includes('something is wrong: 1'), 'a byte that turned is found', said);
  await admin.open(`${PAGES}/integrity/${site.code}`);
  check((await admin.reads('raw/many/150.txt')) && /Damaged|Changed without a trace/.test(await admin.text()), 'and named on the page', await admin.text());
  await admin.picture('integrity-damaged');
  said = await examine(site, admin, 'evidence');
  check(said.includes('The evidence is whole.'), 'the evidence is whole', said);
  // A backup has the right bytes.
  const copies = path.replace(/[^/]+$/, 'otest-copies');
  await root(`rm -rf ${copies}; mkdir -p ${copies}/raw/many; echo 150 >${copies}/raw/many/150.txt`);
  await admin.open(`${PAGES}/integrity/${site.code}`);
  await admin.page.locator('.octonas a', { hasText: 'Put them back' }).click();
  await admin.settle();
  await admin.picture('examine-repair');
  await admin.fill('Where the good copies are', copies);
  await admin.press('Begin');
  said = await admin.task();
  check(said.includes('files that were put back: 1'), 'a good copy puts it right', said);
  said = await examine(site, admin, 'verify');
  check(said.includes('something is wrong: 0'), 'and nothing is wrong any more', said);
  await root(`rm -rf ${copies}`);
  // A program put the time back; somebody looked, and it is right.
  await root(`f=${raw}/many/151.txt; t=$(stat -c %y $f); printf y | dd of=$f conv=notrunc status=none; touch -d "$t" $f; sync`);
  said = await examine(site, admin, 'verify');
  check(said.includes('many/151.txt'), 'a change without a trace is found', said);
  said = await examine(site, admin, 'accept', async () => {
    await admin.fill('Files', 'raw/many/151.txt');
    await admin.fill('Why they are right as they are', 'A logger corrected it "in place": R&D');
  });
  check(said.includes('files that are right as they are: 1'), 'it is accepted, with the reason', said);
  await admin.picture('examine-accept');
  said = await examine(site, admin, 'seal', () => admin.fill('Files', 'raw/many/152.txt\nraw/one.csv'));
  check(said.includes('files: 2; they were so already: 0'), 'files are sealed', said);
  said = await examine(site, admin, 'unseal', () => admin.fill('Files', 'raw'));
  check(said.includes('files: 2;'), 'and the seals taken off', said);
  said = await examine(site, admin, 'verify');
  check(said.includes('something is wrong: 0'), 'all is in order', said);
}

async function packages(site, admin, { root, path }) {
  const { check } = site;
  const out = path.replace(/[^/]+$/, 'otest-packages');
  await root(`rm -rf ${out}; mkdir -p ${out}`);
  check((await admin.open(`${PAGES}/packages/${site.code}`)).length === 0, 'the packages and archives open', admin.failures);
  await admin.action('package-variant-plus').click();
  await admin.settle();
  await admin.choose('Format', 'Archive .zip: opens on every machine');
  await admin.press('Make the package');
  await admin.page.waitForTimeout(1500);
  let said = (await admin.dialog().textContent()) || '';
  check(said.includes('Say where') || admin.failures.some((text) => text.includes('Say where')), 'a package needs a place', said + admin.failures);
  await admin.press('Close', admin.dialog()).catch(() => {});
  await admin.fill('Or a directory', out);
  await admin.fill('Only these files', 'raw/many/**\nraw/one.csv');
  await admin.picture('package');
  await admin.press('Make the package');
  said = await admin.task();
  check(said.includes('Done.') && said.includes('SHA-256: '), 'a package is made, in a task', said);
  const made = (await root(`ls ${out}/*.zip`)).stdout.trim();
  check(made.endsWith('.zip'), 'it lies where it was wanted', made);
  await admin.open(`${PAGES}/packages/${site.code}`);
  await admin.action('package-variant-closed-check').click();
  await admin.page.waitForTimeout(500);
  await admin.fill('Package', made, admin.dialog());
  await admin.press('Begin', admin.dialog());
  said = await admin.task();
  check(said.includes('The package is whole.'), 'a package is tried', said);
  await admin.page.keyboard.press('Escape');
  await root(`printf 'XXXXXXXXXXXXXXXX' | dd of=${made} bs=1 seek=$(($(stat -c %s ${made}) / 3)) conv=notrunc status=none`);
  const bad = await admin.taskOf((await admin.rpc('verifyPackage', { path: made, locale: 'fr' })).result);
  check(bad.includes("Le paquet n'est PAS intact."), 'one with a byte that turned is not whole, in French', bad);
  await admin.open(`${PAGES}/packages/${site.code}`);
  await admin.action('archive-arrow-down').click();
  await admin.page.waitForTimeout(500);
  await admin.fill('Places', out, admin.dialog());
  await admin.picture('archive');
  await admin.press('Archive', admin.dialog());
  said = await admin.task(300);
  check(said.includes('Done.') && said.includes('A copy that was read again is in'), 'the experiment is archived', said);
  await admin.open(`${PAGES}/packages/${site.code}`);
  check(await admin.reads('.tar.zst'), 'the archive is listed', await admin.text());
  await admin.picture('packages');
  await admin.action('check-decagram').click();
  said = await admin.task();
  check(said.includes('good') && said.includes('Done.'), 'its copies are read again', said);
  await admin.row('.tar.zst');
  await admin.action('archive-arrow-up').click();
  await admin.settle();
  check((await admin.field('Package').locator('input').inputValue()).endsWith('.tar.zst'), 'restoring begins with the archive', await admin.text());
  await admin.choose('What becomes of it', 'Files in a new directory');
  await admin.fill('New directory', `${out}/back`);
  await admin.picture('restore');
  await admin.press('Restore');
  said = await admin.task();
  check(said.includes('Done.'), 'an archive is restored', said);
  const same = (await root(`cmp ${out}/back/raw/one.csv ${path}/raw/one.csv && echo same`)).stdout;
  check(same.includes('same'), 'and holds what the experiment holds', same);
  await admin.open(`${PAGES}/archives`);
  check(await admin.reads('.tar.zst'), 'all archives are listed', await admin.text());
  await admin.picture('archives');
  // Thinning asks twice, and refuses what is in use.
  await admin.open(`${PAGES}/packages/${site.code}`);
  await admin.action('archive-remove').click();
  await admin.page.waitForTimeout(500);
  check(await admin.dialog().locator('button', { hasText: 'Yes' }).isDisabled(), 'thinning has to be confirmed twice');
  await admin.picture('thin');
  await admin.dialog().locator('mat-checkbox label').click();
  await admin.press('Yes', admin.dialog());
  await admin.page.waitForTimeout(3000);
  said = (await admin.dialog().textContent()) || '';
  check(said.includes('is in use') || admin.failures.some((text) => text.includes('is in use')), 'what is in use is not thinned', said + admin.failures);
  await admin.open(`${PAGES}/list`);
  check((await root(`test -s ${path}/raw/one.csv && echo there`)).stdout.includes('there'), 'and its data stay');
  const operation = async (what) => admin.taskOf((await admin.rpc('carryOut', { code: site.code, operation: what })).result);
  await operation('close');
  said = await admin.taskOf((await admin.rpc('archive', { code: site.code, to: out })).result);
  check(said.includes('Done.'), 'closed, it is archived once more', said);
  said = await admin.taskOf((await admin.rpc('thin', { code: site.code, confirm: site.code, only: 'raw/many/**' })).result);
  check(said.includes(`Taken away: ${MANY} files`), 'closed, it is thinned of what was named', said);
  check((await admin.rpc('thin', { code: site.code, confirm: '' })).result, 'a confirmation is needed');
  await operation('reopen');
  await root(`rm -rf ${out}`);
}

/** Members see the files, and change nothing; others see nothing. */
async function others(site) {
  const { check } = site;
  const path = 'raw/one.csv';
  const looks = { getFiles: { here: 'files' }, searchFiles: { here: 'found', text: 'one' }, getFile: { path }, getIntegrity: {} };
  const acts = { examine: { work: 'verify' }, getArchives: { start: 0, limit: -1 }, createPackage: { format: 'zip', path: '/srv' }, verifyPackage: { path: '/srv' }, restore: { package: '/srv' }, archive: {}, verifyArchive: {}, thin: { confirm: site.code } };
  for (const role of ['manage', 'write', 'read', 'stranger']) {
    const visitor = await Visitor.login(site, site[role], 'fr-FR');
    for (const [method, params] of Object.entries(looks)) {
      const answer = await visitor.rpc(method, { code: site.code, ...params });
      const good = role === 'stranger' ? [403, 404].includes(answer.status) && !JSON.stringify(answer).includes('one.csv') : answer.status === 200;
      check(good, `${role}: ${method} is ${role === 'stranger' ? 'refused' : 'answered'}`, `${answer.status} ${answer.message}`);
    }
    for (const [method, params] of Object.entries(acts)) {
      const answer = await visitor.rpc(method, { code: site.code, ...params });
      check(answer.status === 403, `${role}: ${method} is for administrators`, `${answer.status} ${answer.message}`);
    }
    for (const page of ['files', 'folder', 'found', 'integrity', `file/${site.code}?path=raw%252Fone.csv`]) {
      const failures = await visitor.open(page.includes('?') ? `${PAGES}/${page}` : `${PAGES}/${page}/${site.code}`);
      const text = await visitor.text();
      const name = page.split('/')[0];
      if (role === 'stranger') check(failures.some((told) => / 40[34] /.test(told)) && !text.includes('one.csv'), `stranger: ${name} shows nothing`, failures);
      else check(failures.length === 0 && !text.includes('Look through'), `${role}: ${name} opens, and offers nothing that they may not do`, failures);
      await visitor.picture(`own-${name}`);
    }
    await visitor.leave();
  }
}

export async function files(site) {
  if (!site.shell) return;
  const admin = await Visitor.login(site, site.admin);
  const laid = await lay(site, admin);
  const steps = { folders, found, integrity, packages };
  for (const step of (site.steps || Object.keys(steps)).map((name) => steps[name]).filter(Boolean)) {
    try {
      await step(site, admin, laid);
    } catch (error) {
      site.check(false, `${step.name} runs to its end`, error.stack);
      await admin.picture(`failed-${step.name}`);
      await admin.page.reload();
    }
  }
  site.check(admin.alerts.length === 0, 'nothing that somebody wrote was run', admin.alerts);
  await admin.leave();
  await others(site);
}
