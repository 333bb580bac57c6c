// For mocha: what each test of the vendor's sent, and how it went. Set-ups make fields of structured metadata and presets,
// which is no part of the gateway: they get what they expect without asking it.
const { subscribe } = require('diagnostics_channel');
const { appendFileSync } = require('fs');

const { v2 } = require(`${process.cwd()}/cloudinary`);

v2.api.add_metadata_field = async () => ({});
v2.api.delete_metadata_field = async () => ({});
v2.api.create_upload_preset = async (options) => ({ name: options.unsigned ? 'judges' : options.name });
const deletePreset = v2.api.delete_upload_preset;
v2.api.delete_upload_preset = (name, ...rest) => (name === 'judges' ? Promise.resolve({}) : deletePreset(name, ...rest));

let sent = 0;
subscribe('http.client.request.start', () => {
  sent += 1;
});

beforeEach(() => {
  sent = 0;
});

afterEach(function written() {
  const test = this.currentTest;
  const said = test.err ? String(test.err.message || JSON.stringify(test.err)).slice(0, 200) : '';
  const outcome = test.state || 'skipped';
  appendFileSync(process.env.JUDGE_OUT, `${JSON.stringify({ name: test.fullTitle(), sent, outcome, said })}\n`);
});
