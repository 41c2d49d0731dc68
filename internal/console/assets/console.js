// What pages can't do without script: keep up to date, tell that they do not, close
// notices, show what is on its way, and keep the current tab in sight. Every page
// is whole without it.
(() => {
  // The server sends the words and the time last heard with everything; here only
  // one of its lines is shown: that the page is live, is reconnecting, or is not.
  const paused = 45_000; // ms of reconnecting
  let state, timer;
  const showState = () => document.querySelectorAll('[data-live]').forEach((e) => { e.hidden = e.dataset.live !== state; });
  const become = (next) => {
    if (next === 'lost' && state === 'off') return;
    if (next !== state) {
      clearTimeout(timer);
      if (next === 'lost') timer = setTimeout(() => become('off'), paused);
    }
    state = next;
    showState();
  };

  // A page is kept up to date while it is visible. All visible pages share the
  // stream of a worker.
  const place = document.getElementById('stream');
  if (place) {
    const here = 10_000; // ms
    let swapped = Promise.resolve();
    let refused = false;
    const heard = ({ data, state: next, refused: status }) => {
      if (status) {
        refused = true;
        become('off');
      } else if (next) {
        if (!refused) become(next);
      } else {
        swapped = swapped.then(() => htmx.swap({ text: data, sourceElement: place, target: place, swap: 'none' })).then(() => become('on'));
      }
    };
    const alone = () => {
      const { join, leave, here } = self.interlockStream;
      return { join: () => join(place, place.dataset.page, heard), leave: () => leave(place), here: () => here(place) };
    };
    const shared = () => {
      const { port } = new SharedWorker(place.dataset.worker, 'interlock stream');
      port.onmessage = ({ data }) => heard(data);
      return {
        join: () => port.postMessage({ join: place.dataset.page }), leave: () => port.postMessage({ leave: true }), here: () => port.postMessage({}),
      };
    };
    let stream;
    try { stream = shared(); } catch { stream = alone(); }
    let joined = false;
    const look = (visible) => {
      if (visible === joined || refused) return;
      joined = visible;
      if (visible) stream.join(); else stream.leave();
    };
    const visible = () => document.visibilityState === 'visible';
    look(visible());
    document.addEventListener('visibilitychange', () => look(visible()));
    addEventListener('pagehide', () => look(false));
    addEventListener('pageshow', () => look(visible()));
    setInterval(() => { if (joined) stream.here(); }, here);
  }

  // A press while the server gives no answer is told of where it was made, in place
  // of the browser's own page.
  const answers = async () => {
    try {
      return (await fetch('/healthz', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(3_000) })).ok;
    } catch {
      return false;
    }
  };
  const quiet = () => document.querySelectorAll('[data-unreachable]').forEach((e) => e.remove());
  const unreachable = (at) => {
    quiet();
    const note = document.getElementById('unreachable').content.firstElementChild.cloneNode(true);
    at.append(note);
    note.scrollIntoView({ block: 'nearest' });
  };
  const away = () => state === 'lost' || state === 'off';
  const asked = new WeakSet(); // forms whose server answers
  let asking = false;
  const press = async (at, go) => {
    if (asking) return;
    asking = true;
    quiet();
    const reached = await answers();
    asking = false;
    if (reached) go(); else unreachable(at);
  };
  document.addEventListener('submit', (event) => {
    const { target: form, submitter } = event;
    if (event.defaultPrevented || asked.delete(form) || new URL(form.action).origin !== location.origin) return;
    if (form.method !== 'post' && !away()) return;
    event.preventDefault();
    press(form, () => { asked.add(form); form.requestSubmit(submitter); });
  });
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[href]');
    if (!away() || !link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.target || link.getAttribute('href').startsWith('#')) return;
    event.preventDefault();
    press(document.getElementById('main'), () => location.assign(link.href));
  });
  document.addEventListener('htmx:error', ({ detail: { ctx, error } }) => {
    if (!(error instanceof TypeError) || !ctx) return; // what fetch throws without an answer
    unreachable(ctx.sourceElement.matches('form') ? ctx.sourceElement : document.getElementById('main'));
  });
  document.addEventListener('htmx:before:request', quiet);

  const busy = (is) => (event) => {
    const { sourceElement, request } = event.detail.ctx;
    if (!sourceElement.matches('form')) return;
    const button = request.submitter ?? sourceElement.querySelector('[type=submit]');
    if (is) button?.setAttribute('aria-busy', 'true'); else button?.removeAttribute('aria-busy');
  };
  document.addEventListener('htmx:before:request', busy(true));
  document.addEventListener('htmx:finally:request', busy(false));

  // What takes long says so: the panel by its outlines, a list by fading until the
  // next page is here, or its reader has given up.
  const long = 300; // ms
  let late;
  document.addEventListener('htmx:before:request', (event) => {
    if (event.detail.ctx.sourceElement.id !== 'bell') return;
    late = setTimeout(() => {
      document.getElementById('panel').replaceChildren(document.getElementById('panel-loading').content.cloneNode(true));
    }, long);
  });
  document.addEventListener('htmx:finally:request', () => {
    clearTimeout(late);
    document.querySelector('#panel > [aria-busy]')?.remove(); // there was no answer
  });
  const list = (is) => () => {
    const card = document.querySelector('.main .card:has(.table)');
    if (is) card?.setAttribute('aria-busy', 'true'); else card?.removeAttribute('aria-busy');
  };
  window.navigation?.addEventListener('navigate', ({ destination, hashChange, signal }) => {
    if (hashChange || new URL(destination.url).pathname !== location.pathname) return;
    list(true)();
    signal.addEventListener('abort', list(false));
  });
  addEventListener('pageshow', list(false));

  document.addEventListener('click', (event) => {
    const closer = event.target.closest('[data-closes]');
    if (!closer) return;
    closer.closest(closer.dataset.closes)?.remove();
    if (closer.dataset.closes === '.panel') document.getElementById('bell')?.focus();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') document.querySelector('[data-closes=".panel"]')?.click();
  });

  // On a narrow screen the current tab can lie outside of the strip.
  const inSight = () => document.querySelector('.tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  inSight();
  addEventListener('resize', inSight);

  // Three notices at most: older ones are behind the bell, which shows them all
  // when it is open.
  document.addEventListener('htmx:after:swap', () => {
    const most = document.querySelector('.panel') ? 0 : 3;
    const notices = [...document.querySelectorAll('#notices > *')];
    notices.slice(0, Math.max(0, notices.length - most)).forEach((e) => e.remove());
  });
})();
