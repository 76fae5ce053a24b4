// What is asked, and what an answer has to be. Nothing here knows the host, so that `npm test` can try it.
import * as stage from './stage.js';

export const COUNT_DEFAULT = 5;

/** Longest tagline, in characters. A longer one does not fit on a poster. */
export const TAGLINE_CHARACTERS_MAX = 80;

export const SETTINGS_SCHEMA = {
  additionalProperties: false,
  properties: {
    count: {
      default: COUNT_DEFAULT,
      description: 'How many taglines to write.',
      maximum: 10,
      minimum: 1,
      type: 'integer',
    },
  },
  type: 'object',
};

export function countOf(context) {
  return JSON.parse(context.settings).count ?? COUNT_DEFAULT;
}

/** The first question. */
export function question(context) {
  if (context.requestText.trim() === '') {
    throw stage.badInput('request_empty', 'the request has no text: say what the taglines are for');
  }
  const count = countOf(context);
  let user = `Write ${count} taglines for:\n\n${context.requestText}`;
  if (context.revision !== undefined) {
    user += `\n\nA reviewer said about the last ones:\n\n${context.revision.feedback}`;
  }
  const system =
    'You write taglines: short, concrete, each different from the others. Answer in JSON.';
  return stage.answeredIn('taglines', answerSchema(count), stage.question('taglines', system, user));
}

// The keys stand in the order of the alphabet, as the other languages write them: a question is the same text in all.
function answerSchema(count) {
  return {
    additionalProperties: false,
    properties: {
      taglines: {
        items: { maxLength: TAGLINE_CHARACTERS_MAX, minLength: 1, type: 'string' },
        maxItems: count,
        minItems: count,
        type: 'array',
      },
    },
    required: ['taglines'],
    type: 'object',
  };
}

/** The taglines in an answer. */
export function read(answer, count) {
  const said = parse(answer)?.taglines;
  if (!Array.isArray(said)) throw unusable('it has no list `taglines`');
  if (said.length !== count) throw unusable(`it has ${said.length} taglines instead of ${count}`);
  const taglines = said.map((tagline, index) => checked(tagline, index + 1));
  taglines.forEach((tagline, index) => {
    const first = taglines.indexOf(tagline);
    if (first !== index) throw unusable(`tagline ${index + 1} repeats tagline ${first + 1}`);
  });
  return taglines;
}

function parse(answer) {
  try {
    return JSON.parse(answer, refuseHalfCharacters);
  } catch {
    throw unusable('it is not JSON');
  }
}

/** Half of a surrogate pair can be written in JSON, but it is no character, and other languages refuse it. */
function refuseHalfCharacters(_, value) {
  if (typeof value === 'string' && !value.isWellFormed()) throw new SyntaxError('half a character');
  return value;
}

function checked(said, number) {
  if (typeof said !== 'string') throw unusable(`tagline ${number} is no text`);
  // Only spaces go: what else counts as white space differs between languages.
  const tagline = said.replace(/^ +| +$/g, '');
  if (tagline === '') throw unusable(`tagline ${number} is empty`);
  if (/[\u0000-\u001f]/.test(tagline)) throw unusable(`tagline ${number} has more than one line`);
  // `length` would count characters outside of the basic plane twice.
  const length = [...tagline].length;
  if (length > TAGLINE_CHARACTERS_MAX) {
    throw unusable(`tagline ${number} has ${length} characters, with ${TAGLINE_CHARACTERS_MAX} allowed`);
  }
  return tagline;
}

function unusable(reason) {
  return stage.invalidOutput('taglines_unusable', reason);
}

/** What the stage leaves behind. */
export function output(taglines) {
  const lines = taglines.map((tagline, index) => `${index + 1}. ${tagline}\n`);
  const body = `# Taglines\n\n${lines.join('')}`;
  return {
    artifacts: [{ name: 'taglines.md', mediaType: 'text/markdown', body }],
    data: JSON.stringify({ taglines }),
    summary: `${taglines.length} taglines, the first: ${taglines[0]}`,
    variables: [{ name: 'tagline', value: JSON.stringify(taglines[0]) }],
  };
}
