// Asks the browser for a passkey. A form with data-passkey says what for, "create"
// or "get", and has what the server asks in data-options. Its button shows only
// where there are passkeys; the answer is sent as the field "passkey".
(() => {
  const able = window.PublicKeyCredential?.parseRequestOptionsFromJSON && window.PublicKeyCredential.parseCreationOptionsFromJSON;
  const show = (form, what, is) => form.querySelectorAll(`[data-passkey-${what}]`).forEach((e) => { e.hidden = !is; });

  const ask = async (form) => {
    show(form, 'failed', false);
    const options = JSON.parse(form.dataset.options);
    try {
      const answer = form.dataset.passkey === 'create'
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      form.elements.passkey.value = JSON.stringify(answer.toJSON());
      form.submit();
    } catch {
      show(form, 'failed', true); // it was cancelled, took too long, or there is none
    }
  };

  document.querySelectorAll('form[data-passkey]').forEach((form) => {
    show(form, 'none', !able);
    show(form, 'ask', able);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (able && form.reportValidity()) ask(form);
    });
  });
})();
