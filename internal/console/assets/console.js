// What pages can't do without script: tell that live updates have stopped, close
// notices, show what is on its way, and keep the current tab in sight. Every page
// is whole without it.
(() => {
  const silence = 45_000; // ms without a word from the server
  let timer;

  // The server sends the words and the time last heard with every beat; here
  // only one of the two is shown.
  const heard = (is) => {
    document.querySelectorAll('[data-live]').forEach((e) => { e.hidden = (e.dataset.live === 'on') !== is; });
  };
  const listen = () => {
    clearTimeout(timer);
    heard(true);
    timer = setTimeout(() => heard(false), silence);
  };
  document.addEventListener('htmx:sse:after:message', listen);
  document.addEventListener('htmx:sse:after:connection', listen);

  // Who may not read the page any more is not let in by asking again.
  let refused = false;
  document.addEventListener('htmx:sse:error', (event) => {
    refused = [400, 401, 403, 404].includes(event.detail.status);
    if (refused) heard(false);
  });
  document.addEventListener('htmx:sse:before:connection', (event) => { if (refused) event.preventDefault(); });

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
