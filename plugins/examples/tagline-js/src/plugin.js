// Writes taglines: the glue between the contract and `taglines.js`.
import { chat } from 'stagewright:stage/llm@1.0.0';
import { write } from 'stagewright:stage/log@1.0.0';

import { askUntilUsable, exported } from './stage.js';
import { SETTINGS_SCHEMA, countOf, output, question, read } from './taglines.js';

// The export has the name of the contract's interface.
export const plugin = exported({
  describe() {
    return {
      name: 'tagline-js',
      version: '1.0.0',
      summary: 'Writes taglines for what the request describes.',
      needs: [],
      uses: [],
      makes: [
        {
          name: 'taglines.md',
          mediaType: 'text/markdown',
          summary: 'The taglines, as a numbered list.',
        },
      ],
      settingsSchema: JSON.stringify(SETTINGS_SCHEMA),
    };
  },

  buildPrompt(context) {
    return question(context);
  },

  run(context) {
    const count = countOf(context);
    const taglines = askUntilUsable({ chat, write }, question(context), (answer) => read(answer, count));
    write('info', 'taglines are written', [{ key: 'count', value: String(count) }]);
    return output(taglines);
  },
});
