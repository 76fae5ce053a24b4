// The plugin: the glue between the contract (`wit/stage.wit`) and `brief.js`.
import { chat } from 'stagewright:stage/llm@1.0.0';
import { write } from 'stagewright:stage/log@1.0.0';

import { BRIEF, SETTINGS_SCHEMA, firstQuestion, output, read } from './brief.js';
import { askUntilUsable, exported } from './stage.js';

// The export has the name of the contract's interface.
export const plugin = exported({
  /** Who the plugin is, and what it needs and makes. The same on every call. */
  describe() {
    return {
      name: '{{name}}',
      version: '0.1.0',
      summary: 'Turns a request into a short brief.',
      needs: [],
      uses: [],
      makes: [
        {
          name: BRIEF,
          mediaType: 'text/markdown',
          summary: 'Goal, audience and the points that matter.',
        },
      ],
      settingsSchema: JSON.stringify(SETTINGS_SCHEMA),
    };
  },

  /** The first question for this context. The host shows it before anything is paid. */
  buildPrompt(context) {
    return firstQuestion(context);
  },

  /** Does the stage's work. */
  run(context) {
    const brief = askUntilUsable({ chat, write }, firstQuestion(context), (answer) => read(context, answer));
    return output(brief);
  },
});
