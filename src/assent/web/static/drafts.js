// What a person has done so far on one task: kept in this browser at every change, and on the server soon after.

import { Refused, request, store } from "./exchange.js";

const PAUSE = 700;  // ms without a change before the draft is sent
const OLDEST = 14 * 24 * 3600 * 1000;  // ms; what lies here longer is thrown away

export class Draft {
  constructor({ person, id, version, patience, report, conflict, gone }) {
    Object.assign(this, { name: `draft:${person}:${id}`, id, version, patience, report, conflict, gone });
    this.changes = 0;
    this.closed = false;
  }

  /** What lies in this browser, if it is newer than what the server has. */
  get unsent() {
    const kept = store.get(this.name);
    return kept && !kept.sent ? kept : null;
  }

  changed(content) {
    this.content = content;
    this.changes += 1;
    this.kept = store.set(this.name, { version: this.version, content, sent: false, at: Date.now() });
    this.report("saving");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), PAUSE);
  }

  async send() {
    if (this.sending || this.closed || this.content === undefined) return;
    this.sending = true;
    try {
      for (let sent = -1; sent !== this.changes && !this.closed;) {
        sent = this.changes;
        const put = () => request("PUT", `/assignments/${this.id}/draft`, { body: { version: this.version, content: this.content } });
        const answer = await this.patience.until(put, { given_up: () => this.closed });
        this.version = answer.version;
      }
      if (this.closed) return;
      store.set(this.name, { version: this.version, content: this.content, sent: true, at: Date.now() });
      this.report("saved");
    } catch (error) {
      if (this.closed) return;
      if (!(error instanceof Refused)) return this.report("offline");
      if (error.status === 409 && error.body?.draft) this.conflict(error.body.draft);
      else if ([404, 409, 410].includes(error.status)) this.gone(error);
      else this.report("refused", error.message);
    } finally {
      this.sending = false;
    }
  }

  /** On leaving the page: one last attempt that outlives it. */
  flush() {
    if (this.closed || !this.unsent || this.content === undefined) return;
    request("PUT", `/assignments/${this.id}/draft`, { body: { version: this.version, content: this.content }, keepalive: true }).catch(() => {});
  }

  /** While a judgement is on its way, its draft is not sent: the server would say that all is over. */
  pause() {
    this.closed = true;
    clearTimeout(this.timer);
  }

  resume() {
    this.closed = false;
    this.send();
  }

  close({ keep = false } = {}) {
    this.closed = true;
    clearTimeout(this.timer);
    if (!keep) store.drop(this.name);
  }
}

export function dropOldDrafts() {
  for (const name of store.names("draft:")) if (Date.now() - (store.get(name)?.at ?? 0) > OLDEST) store.drop(name);
}
