// What most stages need beside their own words: requests, failures, and asking once more when an answer cannot be used.
// A result of the contract is a value that is returned or an error of the contract that is thrown. Whatever else is
// thrown is a fault of the plugin, and the host shows it with this language's stack.

/** The context or the settings cannot be worked on. */
export function badInput(code, message) {
  return failure('bad-input', code, message);
}

/** The model's answer cannot be used. The message is what the model is told when it is asked again. */
export function invalidOutput(code, message) {
  return failure('invalid-output', code, message);
}

function failure(tag, code, message) {
  return { tag, val: { code, message } };
}

/** Lines of a stack that are told. A recursion that went too deep has thousands that are the same. */
const STACK_LINES_MAX = 30;

/** What the functions of the contract give: `wit/stage.wit` in the names of this language. A `?` may be left out. */
const FORMS = {
  describe: {
    name: 'string',
    version: 'string',
    summary: 'string',
    needs: ['string'],
    uses: ['string'],
    makes: [{ name: 'string', mediaType: 'string', summary: 'string' }],
    settingsSchema: 'string',
  },
  buildPrompt: {
    messages: [{ role: 'string', content: 'string' }],
    options: {
      maxTokens: 'number?',
      temperature: 'number?',
      topP: 'number?',
      stop: ['string'],
      seed: 'bigint?',
      responseFormat: { tag: 'string' },
    },
    label: 'string?',
  },
  run: {
    artifacts: [{ name: 'string', mediaType: 'string', body: 'string' }],
    data: 'string',
    summary: 'string',
    variables: [{ name: 'string', value: 'string' }],
  },
};

/**
 * The plugin, as it is to be exported. What one of its functions gives is compared with the contract, since the runtime
 * says what is wrong and not where. What one throws and is no error of the contract goes to standard error with its
 * stack: the host shows it, and the runtime would keep the place to itself.
 */
export function exported(plugin) {
  const told = ([name, work]) => [name, (...given) => tellingWhatIsThrown(() => checked(name, work(...given)))];
  return Object.fromEntries(Object.entries(plugin).map(told));
}

function tellingWhatIsThrown(work) {
  try {
    const result = work();
    // One that waits for something, e.g. for `fetch`, throws later.
    return result instanceof Promise ? result.catch(tellAndThrow) : result;
  } catch (error) {
    return tellAndThrow(error);
  }
}

function checked(name, result) {
  if (result instanceof Promise) return result.then((value) => checked(name, value));
  checkForm(result, FORMS[name], `what \`${name}\` returns`);
  return result;
}

function checkForm(value, form, place) {
  if (Array.isArray(form)) {
    if (!Array.isArray(value)) throw wrong(value, 'an array', place);
    value.forEach((item, index) => checkForm(item, form[0], `item ${index} of ${place}`));
  } else if (typeof form === 'object') {
    const members = Object.entries(form);
    const names = members.map(([name]) => `\`${name}\``).join(', ');
    if (typeof value !== 'object' || value === null) throw wrong(value, `an object with ${names}`, place);
    members.forEach(([name, member]) => checkForm(value[name], member, `\`${name}\` of ${place}`));
  } else {
    const isLeftOut = form.endsWith('?') && value === undefined;
    const wanted = form.replace('?', '');
    if (!isLeftOut && typeof value !== wanted) throw wrong(value, `a ${wanted}`, place);
  }
}

function wrong(value, wanted, place) {
  const found = value === null ? 'null' : typeof value;
  const error = new TypeError(`${place} is ${found}, and has to be ${wanted}`);
  // The message has the place: where it was noticed says nothing.
  error.stack = '';
  return error;
}

function tellAndThrow(error) {
  if (error?.tag === undefined) {
    const stack = String(error?.stack).split('\n', STACK_LINES_MAX).join('\n');
    console.error(`${error}\nStack:\n${stack}`);
  }
  throw error;
}

/** A first question. How it is answered is left to the profile, then to the provider. */
export function question(label, system, user) {
  return {
    messages: [
      { role: 'system', content: system },
      { role: 'user', content: user },
    ],
    options: {
      maxTokens: undefined,
      temperature: undefined,
      topP: undefined,
      stop: [],
      seed: undefined,
      responseFormat: { tag: 'text' },
    },
    label,
  };
}

/** The same question, to be answered in JSON that follows a schema. */
export function answeredIn(schemaName, schema, request) {
  const val = { name: schemaName, schema: JSON.stringify(schema) };
  return { ...request, options: { ...request.options, responseFormat: { tag: 'json-schema', val } } };
}

/**
 * Asks, and when `read` throws an `invalidOutput` of the answer, continues the conversation with that answer and the
 * reason, once. `host` has `chat` and `write` of the contract, so that a test can hand in others.
 */
export function askUntilUsable(host, request, read) {
  const answer = ask(host, request);
  let reason;
  try {
    return read(wholeText(answer));
  } catch (error) {
    if (error?.tag !== 'invalid-output') throw error;
    reason = error.val;
  }
  host.write('warn', 'the answer cannot be used; asking once more', [
    { key: 'code', value: reason.code },
    { key: 'reason', value: reason.message },
  ]);
  return read(wholeText(ask(host, secondQuestion(request, answer, reason))));
}

/** What the host says of a failed call is passed on as it is, so that the host knows whether to try again. */
function ask(host, request) {
  try {
    return host.chat(request);
  } catch (error) {
    if (error?.payload === undefined) throw error;
    throw { tag: 'llm', val: error.payload };
  }
}

function wholeText(answer) {
  switch (answer.finishReason.tag) {
    case 'length':
      throw invalidOutput(
        'answer_cut',
        'the answer was cut because it reached the bound of tokens; write it shorter, so that it ends by itself',
      );
    case 'content-filter':
      throw invalidOutput(
        'answer_filtered',
        "the provider's content policy ended the answer; leave out what it objects to",
      );
    default:
      if (answer.content.trim() === '') throw invalidOutput('answer_empty', 'the answer has no text');
      return answer.content;
  }
}

function secondQuestion(request, answer, reason) {
  const messages = [...request.messages];
  if (answer.content.trim() !== '') messages.push({ role: 'assistant', content: answer.content });
  messages.push({
    role: 'user',
    content:
      `That answer cannot be used: ${reason.message.replace(/\.+$/, '')}.\n` +
      'Give the whole answer again, complete and corrected, in the form that was asked for. ' +
      'Write nothing before it and nothing after it.',
  });
  // The same seed could give the same answer.
  return { messages, options: { ...request.options, seed: undefined }, label: 'second try' };
}
