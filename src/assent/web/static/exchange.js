// Talking with the server so that nothing typed is ever lost: requests that are repeated until they are answered, an
// outbox of submissions and drafts that also lie in this browser's storage.

const PREFIX = "assent:";
const LONGEST_WAIT = 30_000;  // ms between two attempts

export class Refused extends Error {
  constructor(status, body) {
    super(sentence(body) ?? `The server answered ${status}.`);
    this.status = status;
    this.body = body;
    this.hint = body?.hint ?? "";
  }
}
export class Unreachable extends Error {}

function sentence(body) {
  return body?.error ? body.error[0].toUpperCase() + body.error.slice(1) : null;
}

let csrf = document.querySelector("meta[name=csrf-token]")?.content ?? "";
export function renewToken(token) { if (token) csrf = token; }

/** One request. Throws `Refused` for 4xx, `Unreachable` where there was no answer or the server failed. */
export async function request(method, path, { body, headers = {}, keepalive = false } = {}) {
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      keepalive,
      credentials: "same-origin",
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }), "X-CSRF-Token": csrf, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: keepalive ? undefined : AbortSignal.timeout(20_000),
    });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (response.status >= 500) throw new Unreachable(`the server answered ${response.status}`);
  const answer = response.status === 204 ? { reason: response.headers.get("Assent-Reason") ?? "" } : await response.json().catch(() => null);
  if (response.status === 429) throw Object.assign(new Unreachable("too many requests"), { after: Number(response.headers.get("Retry-After")) || 5 });
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

/** The token of whoever is signed in now: after signing in again in another tab, this one goes on. */
export async function renewedSession(person) {
  const me = await request("GET", "/me");
  if (person && me.id !== undefined && String(me.id) !== String(person)) throw new Refused(401, { error: "somebody else is signed in now" });
  renewToken(me.csrf);
  return me;
}

export const store = {
  get(name) { try { return JSON.parse(localStorage.getItem(PREFIX + name)); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(PREFIX + name, JSON.stringify(value)); return true; } catch { return false; } },
  drop(name) { try { localStorage.removeItem(PREFIX + name); } catch { /* nothing was kept then */ } },
  names(start) { try { return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX + start)).map((name) => name.slice(PREFIX.length)); } catch { return []; } },
};

/** Attempts something until it is answered, waiting longer each time; tells `report` when it must wait. */
export class Patience {
  constructor(report) {
    this.report = report;
    this.sleepers = new Set();
    window.addEventListener("online", () => this.wake());
  }

  wake() { this.sleepers.forEach((go) => go()); }

  sleep(ms) {
    return new Promise((resolve) => {
      const go = () => { clearTimeout(timer); this.sleepers.delete(go); resolve(); };
      const timer = setTimeout(go, ms);
      this.sleepers.add(go);
    });
  }

  async until(attempt, { given_up = () => false } = {}) {
    let stale_answers = 0;
    for (let wait = 1000; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        const answer = await attempt();
        this.report(null);
        return answer;
      } catch (error) {
        const signed_out = error instanceof Refused && error.status === 401;
        const stale = error instanceof Refused && error.status === 403 && /csrf/i.test(error.message);
        if (!signed_out && !stale && !(error instanceof Unreachable)) throw error;
        if (given_up() || (stale && (stale_answers += 1) > 2)) throw error;
        this.report(signed_out ? "signed-out" : "offline");
        if (stale || signed_out) await renewedSession(document.body.dataset.person).catch(() => {});
        if (stale && stale_answers === 1) continue;
        await this.sleep(1000 * (error.after ?? 0) || wait * (0.75 + Math.random() / 2));
      }
    }
  }
}

/** Submissions on their way. Each lies in storage until the server has answered it, under its idempotency key. */
export class Outbox {
  constructor({ person, patience, changed, answered, refused }) {
    Object.assign(this, { name: `outbox:${person}:`, patience, changed, answered, refused });
    this.sending = false;
  }

  get items() { return store.names(this.name).map((name) => store.get(name)).filter(Boolean).sort((a, b) => a.at - b.at); }

  put(item) {
    this.kept = store.set(this.name + item.key, item);
    if (!this.kept) (this.memory ??= []).push(item);
    this.changed();
    this.send();
  }

  drop(key) {
    store.drop(this.name + key);
    this.memory = (this.memory ?? []).filter((item) => item.key !== key);
    this.changed();
  }

  get waiting() { return [...this.items, ...(this.memory ?? [])]; }

  async send() {
    if (this.sending) return;
    this.sending = true;
    try {
      for (let item = this.waiting[0]; item; item = this.waiting[0]) await this.deliver(item);
    } finally {
      this.sending = false;
    }
  }

  async deliver(item) {
    const attempt = () => request("POST", `/assignments/${item.id}/submit`, { body: item.body, headers: { "Idempotency-Key": item.key } });
    try {
      const answer = await this.patience.until(attempt);
      this.drop(item.key);
      this.answered(item, answer);
    } catch (error) {
      this.drop(item.key);
      this.refused(item, error);
    }
  }
}
