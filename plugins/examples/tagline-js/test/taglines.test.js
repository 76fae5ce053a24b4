import assert from 'node:assert/strict';
import { test } from 'node:test';

import { question, read } from '../src/taglines.js';

const context = { requestText: 'bees', settings: '{"count":2}', revision: undefined };

test('the first question asks for as many taglines as the settings say', () => {
  const { messages, options } = question(context);
  assert.equal(messages[1].content, 'Write 2 taglines for:\n\nbees');
  assert.equal(JSON.parse(options.responseFormat.val.schema).properties.taglines.minItems, 2);
});

test('a request without text is refused', () => {
  assert.throws(
    () => question({ ...context, requestText: ' ' }),
    (error) => error.tag === 'bad-input' && error.val.code === 'request_empty',
  );
});

for (const [answer, reason] of [
  ['Here they are: ...', 'it is not JSON'],
  ['[]', 'it has no list `taglines`'],
  ['{"taglines":["One."]}', 'it has 1 taglines instead of 2'],
  ['{"taglines":["One.",2]}', 'tagline 2 is no text'],
  ['{"taglines":["One.","  "]}', 'tagline 2 is empty'],
  ['{"taglines":["One.","Two\\nlines."]}', 'tagline 2 has more than one line'],
  ['{"taglines":["One."," One."]}', 'tagline 2 repeats tagline 1'],
]) {
  test(`an answer is not used because ${reason}`, () => {
    assert.throws(
      () => read(answer, 2),
      (error) => error.tag === 'invalid-output' && error.val.message === reason,
    );
  });
}

test('characters are counted, not bytes', () => {
  const long = '🐝'.repeat(80);
  assert.deepEqual(read(JSON.stringify({ taglines: [long, 'b'] }), 2), [long, 'b']);
});
