import assert from 'node:assert/strict';
import { test } from 'node:test';

import { firstQuestion, output, read } from '../src/brief.js';

const context = { requestText: 'Honey from the roofs.', settings: '{"word_count_max":20}' };

test('the question has the request and the length', () => {
  const { messages } = firstQuestion(context);
  assert.match(messages[1].content, /At most 20 words\.\n\nThe request:\n\nHoney from the roofs\.$/);
});

test('a brief that is far too long is not used', () => {
  assert.throws(
    () => read(context, `# Honey\n\n${'sweet '.repeat(50)}`),
    (error) => error.tag === 'invalid-output' && error.val.code === 'too_long',
  );
});

test('the title is the summary', () => {
  assert.equal(output('# City honey\n\nFor cooks.').summary, 'City honey');
});
