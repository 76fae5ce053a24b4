// Misbehaves on request: the setting `verb` says how. For tests of what the host then reports.
import { write } from 'stagewright:stage/log@1.0.0';

import { exported } from './stage.js';

const misdeeds = {
  throw() {
    writeTagline(undefined);
  },

  spin() {
    for (;;);
  },

  grow() {
    const kept = [];
    for (;;) kept.push(new Uint8Array(1 << 20));
  },

  recurse() {
    const deeper = (depth) => deeper(depth + 1) + 1;
    return deeper(0);
  },

  wrong_type() {
    return { artifacts: 'none' };
  },

  no_return() {
    output('rogue.md');
  },

  unusable() {
    return output('../up.md');
  },

  reach_out() {
    return fetch('http://127.0.0.1/');
  },

  hide() {
    return output('rogue.md', {
      time: Date.now(),
      random: [Math.random(), Math.random()],
    });
  },
};

function writeTagline(tagline) {
  return tagline.trim();
}

function output(name, data = null) {
  const artifacts = [{ name, mediaType: 'text/markdown', body: 'Rogue.\n' }];
  return { artifacts, data: JSON.stringify(data), summary: 'Rogue.', variables: [] };
}

export const plugin = exported({
  describe() {
    return {
      name: 'rogue-js',
      version: '1.2.3',
      summary: 'Misbehaves.',
      needs: [],
      uses: [],
      makes: [{ name: 'rogue.md', mediaType: 'text/markdown', summary: 'Nothing.' }],
      settingsSchema: '{"type":"object","properties":{"verb":{"type":"string"}}}',
    };
  },

  buildPrompt() {
    throw { tag: 'bad-input', val: { code: 'no_prompt', message: 'it asks nothing' } };
  },

  run(context) {
    const { verb } = JSON.parse(context.settings);
    write('info', `about to ${verb}`, []);
    console.log('said on standard output');
    return misdeeds[verb]();
  },
});
