// Says on standard output what AsyncAPI's own parser finds wrong with a document, as JSON; nothing is [].
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const worse = diagnostics.filter((each) => each.severity < 2); // errors and warnings
const found = worse.map((each) => `${each.path.join('.')}: ${each.message}`);
console.log(JSON.stringify(document || found.length ? found : ['no document']));
