// What is asked, and what becomes of the answer. Nothing here knows the host, so that `npm test` can try it.
import { badInput, invalidOutput, question } from './stage.js';

/** The artifact that the stage makes. */
export const BRIEF = 'brief.md';

/** An answer with this many times the words that were asked for is asked for again. Models count badly. */
const EXCESS_FACTOR_MAX = 2;

/** Longest summary, in characters; the contract allows 300 bytes. */
const SUMMARY_CHARACTERS_MAX = 70;

const WORD_COUNT_DEFAULT = 120;

/** What a profile can set. The host checks the settings against it and fills in its defaults. */
export const SETTINGS_SCHEMA = {
  type: 'object',
  properties: {
    word_count_max: {
      description: 'Length of the brief.',
      type: 'integer',
      minimum: 20,
      maximum: 1000,
      default: WORD_COUNT_DEFAULT,
    },
  },
  additionalProperties: false,
};

function wordCountMax(context) {
  return JSON.parse(context.settings).word_count_max ?? WORD_COUNT_DEFAULT;
}

/** The first question. */
export function firstQuestion(context) {
  if (context.requestText.trim() === '') {
    throw badInput('request_empty', 'the request has no text: say what the brief is about');
  }
  const system =
    'You write briefs that colleagues can work from. ' +
    'Answer with the brief in Markdown and nothing else: no greeting, no code fence.';
  let user =
    'Write a brief of the request: a title line `# …`, one sentence that says the goal and the audience, ' +
    `then the points that matter as a list. At most ${wordCountMax(context)} words.\n\n` +
    `The request:\n\n${context.requestText}`;
  if (context.revision !== undefined) {
    user += `\n\nA reviewer sent the last brief back:\n\n${context.revision.feedback}`;
  }
  return question('brief', system, user);
}

/** The brief in an answer. What is wrong with an unusable one is what the model is told. */
export function read(context, answer) {
  const brief = answer.trim();
  if (!brief.startsWith('# ')) throw invalidOutput('no_title', 'its first line is no title `# …`');
  const count = brief.split(/\s+/).length;
  const allowed = wordCountMax(context);
  if (count > allowed * EXCESS_FACTOR_MAX) {
    throw invalidOutput('too_long', `the brief has ${count} words; at most ${allowed} were asked for`);
  }
  return brief;
}

/** What the stage leaves behind. */
export function output(brief) {
  const title = brief.split('\n', 1)[0].slice('# '.length).trim();
  return {
    artifacts: [{ name: BRIEF, mediaType: 'text/markdown', body: `${brief}\n` }],
    data: JSON.stringify({ title }),
    summary: [...title].slice(0, SUMMARY_CHARACTERS_MAX).join(''),
    variables: [],
  };
}
