// One stream keeps every page that a browser shows up to date. As a shared worker
// this script serves all of them; where a browser has none, a page runs it alone.
(() => {
  const silence = 5_000; // ms without a word; the server gives a sign of life every 2 s
  const shortest = 500, longest = 15_000; // ms before a stream that broke is asked for again
  const settle = 30, linger = 1_000; // ms after which a page that came, or went, counts
  const absent = 30_000; // ms after which a page that says nothing is gone
  const refusals = [400, 401, 403, 404];

  const readers = new Map(); // by key: the page's path, how to tell it, and when it was last here
  let end = () => {};
  let due;

  // Events of the stream: their name, the number of the page, and the rest.
  async function* events(body, heard) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ''; ;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      const whole = (text + value).split('\n\n');
      text = whole.pop();
      for (const lines of whole.map((event) => event.split('\n'))) {
        const name = lines.find((line) => line.startsWith('event: '))?.slice(7);
        const [number, ...rest] = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
        if (name) yield { name, number: Number(number), data: rest.join('\n') };
      }
    }
  }

  const wait = (ms, signal) => new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); done(); });
  });

  // A reader that is refused is not let in by asking again.
  const refuse = (reader, status) => {
    reader.tell({ refused: status });
    readers.forEach((r, key) => { if (r === reader) readers.delete(key); });
  };

  // Reads one stream for the readers, until it ends. It returns after how many
  // milliseconds to ask again, at the least.
  const read = async (asked, signal) => {
    const tried = new AbortController();
    signal.addEventListener('abort', () => tried.abort());
    let quiet;
    const heard = () => { clearTimeout(quiet); quiet = setTimeout(() => tried.abort(), silence); };
    try {
      heard();
      const query = new URLSearchParams(asked.map(({ page }) => ['page', page]));
      const answer = await fetch('/live?' + query, { headers: { Accept: 'text/event-stream' }, cache: 'no-store', signal: tried.signal });
      if (refusals.includes(answer.status)) asked.forEach((reader) => refuse(reader, answer.status));
      if (!answer.ok) return { after: 1000 * (Number(answer.headers.get('Retry-After')) || 0) };
      asked.forEach(({ tell }) => tell({ state: 'on' }));
      for await (const { name, number, data } of events(answer.body, heard)) {
        if (signal.aborted) break;
        if (name === 'page') asked[number]?.tell({ data });
        if (name === 'refused' && asked[number]) refuse(asked[number], Number(data));
      }
      return { after: 0 };
    } catch {
      return { after: 0 };
    } finally {
      clearTimeout(quiet);
      tried.abort();
    }
  };

  const follow = async () => {
    end();
    const control = new AbortController();
    const { signal } = control;
    end = () => control.abort();
    for (let failed = 0; !signal.aborted && readers.size > 0;) {
      const began = Date.now();
      const asked = [...readers.values()];
      const { after } = await read(asked, signal);
      if (signal.aborted) return;
      readers.forEach(({ tell }) => tell({ state: 'lost' }));
      failed = Date.now() - began > longest ? 0 : failed + 1;
      const pause = Math.min(shortest * 2 ** failed, longest);
      await wait(Math.max(after, pause * (0.7 + 0.6 * Math.random())), signal);
    }
  };

  const soon = (ms) => { clearTimeout(due); due = setTimeout(follow, ms); };
  const join = (key, page, tell) => {
    readers.set(key, { page, tell, seen: Date.now() });
    soon(settle);
  };
  const leave = (key) => { if (readers.delete(key)) soon(linger); };
  const here = (key) => { const reader = readers.get(key); if (reader) reader.seen = Date.now(); };

  if (!self.SharedWorkerGlobalScope) {
    self.interlockStream = { join, leave, here };
    return;
  }
  setInterval(() => readers.forEach(({ seen }, key) => { if (Date.now() - seen > absent) leave(key); }), absent / 3);
  self.addEventListener('connect', ({ ports: [port] }) => {
    port.onmessage = ({ data: { join: page, leave: goes } }) => {
      if (page) join(port, page, (message) => port.postMessage(message));
      else if (goes) leave(port);
      else here(port);
    };
  });
})();
