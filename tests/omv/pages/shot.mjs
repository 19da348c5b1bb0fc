import { readFileSync } from 'node:fs';
import { NARROW, Visitor, WIDE, finish } from './browser.mjs';
const site = JSON.parse(readFileSync('/tmp/s/site.json')); for (const r of ['admin','manage','stranger']) site[r].role=r;
const P='/services/experiments';
for (const [l,v] of [['fr-FR',NARROW],['en-US',WIDE]]) { const a=await Visitor.login(site,site.admin,l,v);
 for (const p of process.argv.slice(2)) { console.log(p, (await a.open(P+p)).join()); await a.picture('x'+p.split('/').slice(1,2).join('-')); } await a.leave(); }
await finish();
