// A browser on the panel of OpenMediaVault: logging in, pages, forms, dialogs, requests.

import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM || '/usr/bin/chromium';
export const WIDE = { width: 1400, height: 1500 };
export const NARROW = { width: 390, height: 1500 };

const exactly = (text) => new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*\\*?\\s*$`);

// One program for all: everybody has a context of their own.
let program;
const launch = async () => {
  program ??= await chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  return program;
};
export const finish = async () => program?.close();

/** One person at a browser of their own. */
export class Visitor {
  static async login(site, who, locale = 'en-US', viewport = WIDE) {
    const visitor = new Visitor();
    Object.assign(visitor, { site, who, locale, alerts: [], failures: [], asked: [], under_way: 0, last: 0 });
    visitor.context = await (await launch()).newContext({ locale, viewport, acceptDownloads: true });
    const page = (visitor.page = await visitor.context.newPage());
    page.setDefaultTimeout(15000);
    // Whatever somebody wrote must never run.
    page.on('dialog', (dialog) => {
      visitor.alerts.push(dialog.message());
      dialog.dismiss();
    });
    page.on('pageerror', (error) => visitor.failures.push(`script: ${error.message}`));
    page.on('request', (asked) => visitor.begins(asked));
    page.on('requestfinished', (asked) => visitor.ends(asked));
    page.on('requestfailed', (asked) => visitor.ends(asked));
    page.on('response', async (response) => {
      if (response.url().endsWith('rpc.php') && response.status() !== 200) {
        const asked = JSON.parse(response.request().postData() || '{}');
        const body = await response.json().catch(() => ({}));
        visitor.failures.push(`${asked.service}.${asked.method}: ${response.status()} ${body.error?.message}`);
      }
    });
    await page.goto(site.url);
    await page.fill('input[type=text]', who.name);
    await page.fill('input[type=password]', who.password);
    await page.click('button[type=submit], mat-card-actions button');
    await page.waitForURL(/dashboard/, { timeout: 30000 });
    await page.waitForLoadState('networkidle').catch(() => {});
    // OpenMediaVault's own welcome would stand on every picture.
    if (visitor.who.role === 'admin') await visitor.rpc('dismissWelcomeMessage', null, 'WebGui');
    return visitor;
  }

  begins(asked) {
    if (!asked.url().endsWith('rpc.php')) return;
    const { service, method } = JSON.parse(asked.postData() || '{}');
    this.asked.push(`${service}.${method}`);
    this.under_way += 1;
  }

  ends(asked) {
    if (!asked.url().endsWith('rpc.php')) return;
    this.under_way -= 1;
    this.last = Date.now();
  }

  async leave() {
    await this.context.close();
  }

  /** Opens a page; gives what went wrong meanwhile. */
  async open(hash) {
    this.failures.length = 0;
    this.asked.length = 0;
    await this.page.goto(`${this.site.url}#${hash}`);
    // Its first question may be late on a machine that is busy.
    for (let i = 0; i < 20 && !this.asked.some((asked) => asked.startsWith('Octonas.')); i += 1) await this.page.waitForTimeout(100);
    await this.settle();
    return [...this.failures];
  }

  async settle() {
    await this.page.waitForTimeout(400);
    // A page within the page asks after it was opened: it is quiet when nothing was under way for a while.
    for (let i = 0; i < 200 && (this.under_way > 0 || Date.now() - this.last < 300); i += 1) await this.page.waitForTimeout(100);
    await this.page.waitForFunction(() => !document.querySelector('.omv-page-header mat-progress-bar'), null, { timeout: 30000 }).catch(() => {});
    await this.page.waitForTimeout(200);
  }

  async picture(name) {
    if (!this.site.pictures) return;
    mkdirSync(this.site.pictures, { recursive: true });
    await this.page.mouse.move(700, 5);
    const width = this.page.viewportSize().width < 700 ? 'narrow' : 'wide';
    await this.page.screenshot({ path: `${this.site.pictures}/${this.who.role}-${this.locale}-${width}-${name}.png` });
  }

  /** What can be read on the page, the menu apart. */
  async text() {
    const content = this.page.locator('mat-sidenav-content, .omv-workbench-layout-content').first();
    return (await content.count()) ? content.innerText() : this.page.innerText('body');
  }

  /** Whether a text can be read on the page, or soon. */
  async reads(wanted) {
    for (let i = 0; i < 25; i += 1) {
      if ((await this.text()).includes(wanted)) return true;
      await this.page.waitForTimeout(200);
    }
    return false;
  }

  dialog() {
    return this.page.locator('mat-dialog-container').last();
  }

  field(label, within = this.page) {
    return within.locator('mat-form-field', { has: this.page.locator('mat-label', { hasText: exactly(label) }) }).first();
  }

  async fill(label, value, within) {
    await this.field(label, within).locator('input, textarea').first().fill(value);
  }

  async choose(label, option, within) {
    await this.field(label, within).locator('mat-select').click();
    await this.page.locator('mat-option', { hasText: exactly(option) }).click();
    await this.page.keyboard.press('Escape');
    await this.page.waitForTimeout(300);
  }

  /** A row of a table in a form, by its dialog. */
  async add(table, fill) {
    await this.field(table).locator('button').first().click();
    await this.page.waitForTimeout(500);
    await fill(this.dialog());
    await this.dialog().locator('button', { hasText: exactly('Add') }).click();
    await this.page.waitForTimeout(400);
  }

  async press(text, within = this.page) {
    await within.locator('button', { hasText: exactly(text) }).last().click();
    await this.page.waitForTimeout(300);
  }

  /** The button of a table's bar that has this symbol. */
  action(icon) {
    return this.page.locator(`mat-toolbar button:has(mat-icon[data-mat-icon-name="${icon}"]), .omv-datatable button:has(mat-icon[svgicon="mdi:${icon}"]), button:has(mat-icon[svgicon="mdi:${icon}"])`).first();
  }

  async row(text) {
    await this.page.locator('datatable-body-row', { hasText: text }).first().click();
    await this.page.waitForTimeout(300);
  }

  /** Waits for a page that follows another one, and for what it shows. */
  async arrive(page) {
    await this.page.waitForURL(new RegExp(`/services/experiments/${page}`), { timeout: 30000, waitUntil: 'commit' });
    await this.page.waitForTimeout(700);
    await this.settle();
  }

  /** Waits for the end of a task, closes its dialog, and gives what it said. */
  async task(patience = 180) {
    let said = '';
    await this.dialog().waitFor();
    for (let second = 0; second < patience; second += 1) {
      await this.page.waitForTimeout(1000);
      said = (await this.dialog().textContent({ timeout: 1000 }).catch(() => '')) || '';
      const close = this.dialog().locator('button', { hasText: exactly('Close') });
      if (said && (await close.count()) && (await close.isEnabled())) break;
    }
    await this.press('Close', this.dialog());
    await this.settle();
    return said;
  }

  /** A request past the pages, with the session of this visitor. */
  async rpc(method, params, service = 'Octonas') {
    const response = await this.context.request.post(`${this.site.url}rpc.php`, {
      data: { service, method, params, options: {} },
      timeout: 120000,
    });
    const body = await response.json().catch(() => ({}));
    return { status: response.status(), result: body.response, message: body.error?.message };
  }

  /** Waits for the end of a task that was begun by a request, and gives what it said. */
  async taskOf(filename) {
    let said = '';
    for (let pos = 0, look = 0; look < 240; look += 1) {
      const { status, result, message } = await this.rpc('getOutput', { filename, pos }, 'Exec');
      if (status !== 200) return said + message;
      said += result.output;
      pos = result.pos;
      if (!result.running) return said;
      await this.page.waitForTimeout(500);
    }
    return said;
  }

  async download(start) {
    const [download] = await Promise.all([this.page.waitForEvent('download', { timeout: 30000 }), start()]);
    const stream = await download.createReadStream();
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) };
  }
}
