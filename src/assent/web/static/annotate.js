// The judging page: brings tasks, keeps what a person does with them, sends judgements, and goes on at once.

import { Draft, dropOldDrafts } from "./drafts.js";
import { h } from "./dom.js";
import { Order, Scale, draggable } from "./dock.js";
import { Outbox, Patience, Refused, request, store } from "./exchange.js";
import { keyboard } from "./keyboard.js";
import { toast } from "./page.js";
import { Ranking } from "./ranking.js";
import { forget, quoted, selected } from "./spans.js";
import { TaskView } from "./task_view.js";

const root = document.getElementById("judging");
const part = (name) => root.querySelector(`[data-part=${name}]`);
const person = document.body.dataset.person;
const campaign = Number(root.dataset.campaign) || null;
const edited = root.dataset.judgement || null;
const look = { plain: false, differences: false, stacked: false, ...store.get("look") };
const channel = "BroadcastChannel" in window ? new BroadcastChannel(`assent:${person}`) : null;

const UNSEEN = 300;  // ms after it appeared in which nobody has looked at a task yet
const ARRIVAL = 10_000;  // ms that an undo waits for its submission
const LOOK_AGAIN = 60_000;  // ms after which an empty queue is asked again
const WAITING = "Your last judgements are still on their way to the server. It goes on when they are there.";
const REASONS = {
  "nothing-open": "Everything that is open has been judged, or is being judged by others. Thank you! This page looks again every minute.",
  "others-must": "What is left compares the policies, and those who labelled for training must not judge it. Others will.",
  "enough-held": "You hold several tasks already, perhaps in another window. Finish those first.",
  "not-qualified": "The qualification was not passed, so there are no tasks for you in this campaign.",
  "not-for-you": "This campaign is for another group of people.",
  paused: "This campaign is paused.",
  closed: "This campaign is closed. Thank you for your part in it.",
  "no-campaign": "There is no campaign yet.",
};

class Desk {
  constructor() {
    this.current = null;  // {task, work, view, dock, draft, seconds}
    this.held = [];  // tasks leased ahead
    this.judged = 0;  // in this visit
    this.done = [];  // what was sent off in this visit, newest last: {id, task, content} with key and judgement, or with declined
    this.patience = new Patience((trouble) => this.showLink(trouble));
    this.outbox = new Outbox({
      person, patience: this.patience,
      changed: () => this.showLink(this.trouble),
      answered: (item, answer) => this.answered(item, answer),
      refused: (item, error) => this.refused(item, error),
    });
  }

  async start() {
    dropOldDrafts();
    this.outbox.send();
    if (edited) await this.openPast(edited);
    else await this.advance();
  }

  // ---- tasks ----

  async advance() {
    this.leave();
    const next = this.held.shift();
    if (next) return this.show(next);
    this.wait("Looking for your next task…");
    const answer = await this.fetchNext(this.mine());
    if (this.current) return;
    if (answer.task) this.show(answer.task);
    else await this.showNothing(answer);
  }

  async fetchNext(beside) {
    try {
      const body = { ...(campaign ? { campaign } : {}), beside, rendered: true };
      const answer = await this.patience.until(() => request("POST", "/assignments/next", { body }));
      return answer.id ? { task: complete(answer) } : { code: answer.reason };
    } catch (error) {
      return { words: error.message, hint: error.hint, status: error.status };
    }
  }

  /** What this page has already, or has sent off or put away, the server knowing or not: not to be brought again. */
  mine() {
    const away = [...this.outbox.waiting, ...this.done.filter((entry) => entry.declined === false)];
    const ids = [this.current?.task.id, ...this.held.map((task) => task.id), ...away.map((item) => item.id)];
    return [...new Set(ids)].filter(Number.isInteger).slice(0, 10);
  }

  async prefetch() {
    if (edited || this.fetching || this.held.length || !this.current || this.current.task.kind === "training") return;
    this.fetching = true;
    const { task } = await this.fetchNext(this.mine());
    this.fetching = false;
    if (!task) return;
    if (task.id === this.current?.task.id || this.held.some((other) => other.id === task.id)) return;
    if (this.current) this.held.push(task);
    else this.show(task);
  }

  show(task, content = null) {
    this.looking = false;
    const draft = new Draft({
      person, id: task.id, version: task.draft?.version ?? 0, patience: this.patience,
      report: (state, words) => this.showSaving(state, words),
      conflict: (other) => this.conflict(other),
      gone: (error) => this.gone(error),
    });
    const kept = draft.unsent;
    const work = toWork(task, content ?? kept?.content ?? task.draft?.content ?? task.given ?? {});
    this.current = { task, work, draft, cameAt: performance.now(), shownAt: performance.now(), seconds: work.seconds, confirmed: false };
    const act = {
      place: (slot) => this.place(slot), change: () => this.changed(), highlight: () => this.highlight(), rewrite: () => this.rewrite(),
    };
    this.current.view = new TaskView(task, work, act, look);
    this.current.dock = task.completions.length === 2 && task.label !== "best-of-k"
      ? new Scale(task, (winner, strong) => this.choose(winner, strong))
      : new Order(task, { place: (slot) => this.place(slot), join: () => this.join(), back: () => this.back(), move: () => {}, remove: (slot) => { work.ranking.remove(slot); this.changed(); } });
    part("task").replaceChildren(...this.current.view.nodes);
    part("scale").replaceChildren(this.current.dock.node);
    part("dock").hidden = false;
    part("aside").hidden = Boolean(edited);
    part("bar").hidden = false;
    this.paintHead();
    this.current.dock.paint(work);
    this.applyLook();
    window.scrollTo({ top: 0 });
    this.say(`Task with ${task.completions.length} answers.`);
    this.showSaving("saved");
    if (kept && !content && task.draft && kept.version < task.draft.version && different(kept.content, task.draft.content)) this.conflict(task.draft, kept.content);
    else if (content || kept) draft.changed(toContent(this.current));
    this.prefetch();
  }

  /** A key came that cannot be meant for what is shown. It is never kept for a task that is not seen yet. */
  early() {
    const words = !this.current ? "Not taken: wait until you see the next task." : this.current.sending ? "Not taken: this one is being sent." : "Not taken: this task has only just come.";
    if (this.hinted?.isConnected && this.hinted.textContent === words) return;  // once, not for each key
    this.hinted?.remove();
    this.hinted = toast(words, { seconds: 2 });
  }

  /** Whether the task came so suddenly that a key or a click was meant for the one before. */
  get unseen() { return !this.current.touched && performance.now() - this.current.cameAt < UNSEEN; }

  leave() {
    this.looking = false;
    this.current?.draft.close({ keep: true });
    this.current = null;
    forget();
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  }

  wait(words) {
    this.looking = true;  // keys are told that they come too early
    part("task").replaceChildren(h("p", { class: "empty" }, words));
    part("dock").hidden = true;
  }

  async showNothing({ code, words, hint, status }) {
    this.looking = false;
    if (code === "consent-needed") return location.assign(campaign ? `/consent/${campaign}` : "/");
    if (code === "not-qualified" && campaign) return location.assign(`/qualification/${campaign}`);
    const reason = words ?? (this.outbox.waiting.length ? WAITING : REASONS[code] ?? REASONS["nothing-open"]);
    if (status === 401) return location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    const template = document.getElementById("nothing").content.cloneNode(true);
    template.querySelector("[data-part=reason]").textContent = [reason, hint].filter(Boolean).join(" ");
    template.querySelector("[data-part=again]").addEventListener("click", () => this.advance());
    part("task").replaceChildren(template);
    part("dock").hidden = true;
    part("bar").hidden = true;
    if (this.done.length) part("task").querySelector("[data-part=undo]")?.removeAttribute("hidden");
    part("task").querySelector("[data-part=undo]")?.addEventListener("click", () => this.undo());
    this.say(reason);
    clearTimeout(this.again);
    if (code) this.again = setTimeout(() => { if (!this.current && !document.hidden) this.advance(); }, LOOK_AGAIN);
  }

  // ---- what a person does ----

  choose(winner, strong) {
    const { work, task } = this.current;
    work.ranking = Ranking.from(2, {}, winner === null ? [[0, 1]] : [[winner], [1 - winner]]);
    work.strength = winner === null || !task.strengths ? null : strong ? "strong" : "slight";
    this.changed();
    this.say(winner === null ? "Alike." : `Answer ${winner + 1} ${this.current.view.word({ rank: 1, alike: false })}.`);
  }

  place(slot, strong = false) {
    const { work, task } = this.current;
    if (task.completions.length === 2 && task.label !== "best-of-k") return this.choose(slot, strong);
    if (!work.ranking.place(slot)) return this.say(`Answer ${slot + 1} is placed already. Backspace takes the last one back.`, true);
    this.changed();
    this.say(`Answer ${slot + 1}: ${this.current.view.word(work.ranking.rankOf(slot))}.`);
  }

  digit(number, strong) {
    const { task } = this.current;
    if (number === 0 && task.completions.length === 2 && task.label !== "best-of-k") this.choose(null, false);
    else if (number >= 1 && number <= task.completions.length) this.place(number - 1, strong);
  }

  join() {
    if (this.current.work.ranking.join()) this.paint();
    else this.say("“=” joins the next answer to the one placed last.", this.current.task.completions.length > 2);
  }

  back() {
    const { work, task } = this.current;
    if (task.completions.length === 2) work.strength = null;
    if (task.completions.length === 2 ? work.ranking.groups.splice(0).length : work.ranking.back()) this.changed();
  }

  changed() {
    this.current.touched = true;
    this.current.confirmed = false;
    this.paint();
    this.current.draft.changed(toContent(this.current));
  }

  paint() {
    this.current.view.paint();
    this.current.dock.paint(this.current.work);
    const missing = lacking(this.current);
    part("say").textContent = missing ?? "";
    part("submit").setAttribute("aria-disabled", String(Boolean(missing)));
  }

  highlight() {
    const { task, work } = this.current;
    const span = selected(window.getSelection(), task.completions);
    if (!span) return toast("Select words in an answer first, then press H.");
    if (span.start === undefined) {
      if (!look.plain) this.toggle("plain");
      return toast("These words are written differently in the text itself. It is shown as plain text now: select them there.");
    }
    if (work.spans.some((other) => other.slot === span.slot && other.start === span.start && other.end === span.end)) return;
    work.spans.push({ ...span, tag: "" });
    window.getSelection().removeAllRanges();
    this.changed();
  }

  rewrite() {
    const { task, work } = this.current;
    const dialog = document.getElementById("rewrite");
    const [text, start] = [dialog.querySelector("textarea"), dialog.querySelector("select")];
    start.replaceChildren(h("option", { value: "" }, "nothing"), ...task.completions.map(({ slot }) => h("option", { value: String(slot) }, `answer ${slot + 1}`)));
    const best = work.ranking.groups[0]?.[0];
    start.value = String(work.rewrite ? work.rewrite.slot ?? "" : best ?? "");
    text.value = work.rewrite?.text ?? (best === undefined ? "" : task.completions[best].text);
    start.onchange = () => { text.value = start.value === "" ? "" : task.completions[Number(start.value)].text; keep(); };
    const keep = () => {
      const slot = start.value === "" ? null : Number(start.value);
      const same = slot !== null && task.completions[slot].text === text.value;
      work.rewrite = text.value.trim() && !same ? { slot, text: text.value } : null;
      this.changed();
    };
    text.oninput = keep;
    dialog.querySelector("[data-part=drop]").onclick = () => { work.rewrite = null; this.changed(); dialog.close(); };
    dialog.showModal();
    text.focus();
  }

  markNext() {
    const rating = [...root.querySelectorAll(".rating")].find((each) => !each.querySelector(":checked")) ?? root.querySelector(".rating");
    if (!rating) return this.say("This campaign asks for no marks.", true);
    (rating.querySelector(":checked") ?? rating.querySelector("input")).focus();
  }

  // ---- sending ----

  async submit() {
    const { current } = this;
    if (!current || current.sending) return;
    if (this.unseen) return this.early();
    const missing = lacking(current);
    if (missing) return this.say(missing, true);
    const short = (current.task.floor_seconds) - this.seconds();
    if (short > 0) return this.say(`Please take your time: this task asks for ${Math.ceil(short)} more seconds.`, true);
    if (current.work.ranking.asShown && !current.confirmed && !current.work.all_bad) {
      current.confirmed = true;
      return this.say("This is just the order in which they were shown. Press Enter again if you mean it.", true);
    }
    const body = toBody(current, this.seconds());
    if (edited) return this.submitEdit(current, body);
    const item = { key: current.task.idempotency_key, id: current.task.id, at: Date.now(), body, task: current.task, content: toContent(current) };
    if (current.task.kind === "training") return this.submitTraining(current, item);
    current.draft.close();
    this.done.push({ ...item, judgement: null });
    this.judged += 1;
    this.outbox.put(item);
    await this.advance();
  }

  answered(item, answer) {
    const entry = this.done.find((other) => other.key === item.key);
    if (entry) entry.judgement = answer.judgement_id;
    channel?.postMessage({ submitted: item.id });
    if (item.task.kind === "qualification" && ["queue", "failed"].includes(answer.stage)) return location.assign(`/qualification/${item.task.campaign.id}`);
    if (!this.current && !this.outbox.waiting.length && !root.querySelector(".verdict")) this.advance();
  }

  refused(item, error) {
    this.done = this.done.filter((other) => other.key !== item.key);
    if (error.status === 404 || error.status === 410) return toast(`A judgement could not be kept: ${error.message}`, { kind: "bad", seconds: 12 });
    if (error.status === 409) return toast(`${error.message}`, { kind: "bad", seconds: 12 });
    toast(`A judgement came back: ${error.message}. ${error.hint ?? ""}`, { kind: "bad", seconds: 12 });
    const busy = this.current?.task;
    if (busy) { this.held.unshift({ ...busy, draft: { version: this.current.draft.version, content: toContent(this.current) } }); this.current.draft.send(); }
    this.leave();
    this.show(item.task, item.content);
  }

  /** While a judgement is on its way and the task stays on the screen, nothing of it can be changed. */
  sending(current, on) {
    current.sending = on;
    for (const node of [...current.view.nodes, part("dock")]) node.inert = on;
  }

  async submitTraining(current, item) {
    this.sending(current, true);
    current.draft.pause();
    this.showSaving("saving");
    let answer = null;
    try {
      answer = await this.patience.until(() => request("POST", `/assignments/${item.id}/submit`, { body: item.body, headers: { "Idempotency-Key": item.key } }));
      current.draft.close();
    } catch (error) {
      current.draft.resume();
      this.say(`${error.message}. ${error.hint}`, true);
    }
    this.sending(current, false);
    if (answer) this.showVerdict(answer);
  }

  showVerdict(answer) {
    const found = answer.feedback;
    if (!found) return this.advance();
    const expected = found.expected_ranks ? words(Ranking.fromRanks(found.expected_ranks)) : "";
    const next = h("button", { type: "button", class: "button primary", onclick: () => this.advance() }, "Go on ", h("kbd", { "aria-hidden": "true" }, "↵"));
    const box = h("section", { class: `verdict notice ${found.right ? "good" : "warn"}`, tabindex: "-1", "aria-labelledby": "verdict" },
      h("h2", { id: "verdict" }, found.right ? "As we see it too" : "We see this differently"),
      !found.right && expected ? h("p", {}, `Expected: ${expected}.`) : null,
      h("p", { dir: "auto" }, found.explanation), h("div", { class: "actions" }, next));
    part("dock").hidden = true;
    for (const node of part("task").children) node.inert = true;
    part("task").prepend(box);
    this.showSaving("saved");
    window.scrollTo({ top: 0 });
    next.focus();
    this.current = null;
    this.say(found.right ? "As we see it too." : "We see this differently.");
  }

  async submitEdit(current, body) {
    this.sending(current, true);
    try {
      await this.patience.until(() => request("PUT", `/judgements/${edited}`, { body }));
      current.draft.close();
      location.assign("/past");
    } catch (error) {
      this.say(`${error.message}. ${error.hint}`, true);
      this.sending(current, false);
    }
  }

  decline(reason) {
    if (edited || !this.current || this.current.sending) return;
    if (this.unseen) return this.early();
    const { current } = this;
    const { task, draft, work } = current;
    if ((work.note || work.rewrite || work.spans.length) && current.declining !== reason) {
      current.declining = reason;
      return this.say("That would put away what you wrote. Once more if you mean it.", true);
    }
    const entry = { id: task.id, task, content: toContent(current), declined: false };
    draft.close();
    const send = () => request("POST", `/assignments/${task.id}/decline`, { body: { reason } });
    this.patience.until(send).then(() => { entry.declined = true; }, (error) => {
      this.done = this.done.filter((other) => other !== entry);
      if (error.status !== 404 && error.status !== 410) toast(error.message, { kind: "bad" });
    });
    this.done.push(entry);
    toast(reason === "skip" ? "Skipped: somebody else will judge it." : "Noted that it cannot be judged.", { action: { label: "Undo", run: () => this.undo() } });
    this.advance();
  }

  async undo() {
    if (edited || this.undoing) return;
    const last = this.done.at(-1);
    this.undoing = true;
    try {
      if (last && !(await this.arrival(last))) return toast("It is still on its way; try again when the server is back.");
      const id = last?.judgement ?? (last ? null : await this.newestJudgement());
      if (!last && !id) return toast("There is nothing to undo.");
      const assignment = id ? (await request("POST", `/judgements/${id}/undo?rendered=true`)).assignment : await request("POST", `/assignments/${last.id}/take-up?rendered=true`);
      this.done.pop();
      if (id) this.judged -= 1;
      const busy = this.current;
      if (busy) { busy.draft.send(); this.held.unshift({ ...busy.task, draft: { version: busy.draft.version, content: toContent(busy) } }); }
      this.leave();
      this.show(complete(assignment), last?.content ?? null);
      toast(id ? "Taken back. Judge it again when you are ready." : "Here it is again.");
    } catch (error) {
      if (error instanceof Refused && last && "declined" in last) this.done = this.done.filter((other) => other !== last);  // the one before can still be undone
      toast(error instanceof Refused ? error.message : "The server cannot be reached just now.", { kind: "bad" });
    } finally {
      this.undoing = false;
    }
  }

  /** Whether what is on its way has come to the server, within some seconds. */
  async arrival(entry) {
    const there = () => entry.declined || (entry.judgement ?? null) !== null;
    for (let waited = 0; !there() && waited < ARRIVAL; waited += 100) await new Promise((go) => setTimeout(go, 100));
    return there();
  }

  async newestJudgement() {
    const found = await request("GET", "/me/judgements?limit=1");
    return found.items[0]?.id;
  }

  async openPast(id) {
    this.wait("Opening your judgement…");
    try {
      const found = await this.patience.until(() => request("GET", `/me/judgements/${id}?rendered=true`));
      const task = { ...complete(found.assignment), given: given(found.answer), draft: null, of: found.assignment.id, id: `judgement-${id}` };
      this.show(task);
      Object.assign(this.current.draft, { send: async () => this.showSaving("here"), flush() {} });  // an edit is kept in this browser until it is sent
    } catch (error) {
      this.showNothing({ words: error.message, hint: error.hint });
    }
  }

  // ---- other windows, leases, the link ----

  conflict(other, mine = null) {
    const { current } = this;
    const dialog = document.getElementById("conflict");
    const content = mine ?? toContent(current);
    dialog.querySelector("[data-part=mine]").textContent = summary(current.task, content);
    dialog.querySelector("[data-part=theirs]").textContent = summary(current.task, other.content);
    dialog.querySelector("[data-part=keep]").onclick = () => { current.draft.version = other.version; current.draft.changed(content); dialog.close(); };
    dialog.querySelector("[data-part=take]").onclick = () => {
      dialog.close();
      current.draft.close();
      const task = { ...current.task, draft: other };
      this.current = null;
      this.show(task);
    };
    this.showSaving("conflict");
    dialog.showModal();
  }

  gone(error) {
    toast(`${error.message}. What you wrote is kept in this browser.`, { kind: "bad", seconds: 12 });
    this.leave();
    this.advance();
  }

  async renew() {
    if (document.hidden || edited) return;
    for (const task of [this.current?.task, ...this.held].filter(Boolean)) {
      const period = Math.max(15_000, (Date.parse(task.expires_at) - task.got) / 3);
      if (!(Date.now() - (task.renewed ?? task.got) > period)) continue;
      task.renewed = Date.now();
      try {
        await request("POST", `/assignments/${task.id}/renew`);
      } catch (error) {
        if (!(error instanceof Refused) || ![404, 409, 410].includes(error.status)) continue;
        if (task === this.current?.task) this.gone(error);
        else this.held = this.held.filter((other) => other !== task);
      }
    }
  }

  seconds() {
    const { current } = this;
    const running = document.hidden || current.paused ? 0 : (performance.now() - current.shownAt) / 1000;
    return Math.round(10 * (current.seconds + running)) / 10;
  }

  visibility() {
    if (!this.current) return;
    if (document.hidden) { this.current.seconds += (performance.now() - this.current.shownAt) / 1000; this.current.draft.flush(); }
    else { this.current.shownAt = performance.now(); this.renew(); }
  }

  showLink(trouble) {
    this.trouble = trouble;
    const waiting = this.outbox.waiting.length;
    const banner = part("trouble");
    banner.hidden = !trouble;
    if (trouble === "signed-out") banner.replaceChildren(h("p", {}, "You are signed out. Nothing is lost: ", h("a", { href: "/sign-in", target: "_blank" }, "sign in in another tab"), " and come back."));
    else if (trouble) banner.replaceChildren(h("p", {}, `The server cannot be reached. Go on: all you do is kept in this browser${waiting ? ` (${waiting} judgement${waiting > 1 ? "s" : ""} waiting)` : ""} and sent when it is back. `,
      h("button", { type: "button", class: "button small", onclick: () => this.patience.wake() }, "Try now")));
    if (trouble) this.showSaving("offline");
    else if (root.dataset.saving === "offline") this.showSaving("saved");
  }

  showSaving(state, words = null) {
    const text = { saving: "Saving…", saved: "Saved", offline: "Offline, kept here", conflict: "Changed elsewhere", here: "Kept here until sent", refused: words ?? "Not saved" };
    root.dataset.saving = state;
    const place = part("saving");
    place.textContent = text[state];
    place.dataset.state = { saving: "saving", saved: "saved", here: "saved" }[state] ?? "kept";
  }

  // ---- looks ----

  paintHead() {
    const { task } = this.current;
    part("title").textContent = edited ? "Changing a past judgement" : task.kind === "training" ? `Training: ${task.campaign?.title ?? ""}` : task.campaign?.title ?? "Judging";
    const [before, open] = [Number(root.dataset.done), Number(root.dataset.open)];
    const [done, wanted] = [before + this.judged, before + Math.max(open, this.judged)];
    part("progress").hidden = !wanted || Boolean(edited) || task.kind !== "normal";
    part("progress").querySelector("progress").max = Math.max(1, wanted);
    part("progress").querySelector("progress").value = done;
    part("progress").querySelector("span").textContent = `${done} of ${wanted}`;
    this.paint();
  }

  toggle(name) {
    look[name] = !look[name];
    if (name === "plain" && look.plain) look.differences = false;
    if (name === "differences" && look.differences) look.plain = false;
    store.set("look", look);
    this.applyLook();
  }

  async applyLook() {
    const { current } = this;
    for (const name of ["plain", "differences", "stacked"]) root.querySelector(`[data-look=${name}]`)?.setAttribute("aria-pressed", String(look[name]));
    if (!current) return;
    current.view.grid.classList.toggle("stacked", look.stacked);
    part("base").hidden = !look.differences || current.task.completions.length < 3;
    const base = part("base").querySelector("select");
    if (base.options.length !== current.task.completions.length) base.replaceChildren(...current.task.completions.map(({ slot }) => h("option", { value: String(slot) }, `answer ${slot + 1}`)));
    if (!look.differences) return current.view.showBodies();
    const shown = await this.differences(current, Number(base.value) || 0).catch((error) => { toast(error.message, { kind: "bad" }); return null; });
    if (this.current === current && look.differences) current.view.showBodies(shown);
  }

  async differences({ task }, base) {
    task.differences ??= {};
    const found = task.differences[base] ??= {};
    for (const { slot } of task.completions) {
      if (slot === base || found[slot]) continue;
      const answer = await request("GET", `/assignments/${task.of ?? task.id}/difference?left=${base}&right=${slot}`);
      found[slot] = answer.right;
      if (task.completions.length === 2) found[base] = answer.left;
    }
    return found;
  }

  say(words, loud = false) {
    part("announce").textContent = words;
    if (loud) toast(words);
  }
}

// ---- work, and what is kept and sent of it ----

function complete(task) {
  return { ...task, strengths: task.strengths.length > 0, given: task.before ? given(task.before) : null, got: Date.now() };
}

/** What was answered before, as the content of a draft. */
function given(answer) {
  return { ...answer, rewrite: answer.rewrite ? { slot: null, text: answer.rewrite } : null };
}

function toWork(task, content) {
  const options = { best: task.label === "best-of-k" };
  const count = task.completions.length;
  return {
    ranking: content.ranks ? Ranking.fromRanks(content.ranks, options) : Ranking.from(count, options, content.groups),
    strength: content.strength || null,
    all_bad: Boolean(content.all_bad),
    marks: task.completions.map((_, slot) => ({ ...content.marks?.[slot] })),
    flags: [...(content.flags ?? [])],
    reasons: [...(content.reasons ?? [])],
    note: content.note ?? "",
    spans: (content.spans ?? []).map((span) => ({ ...span })),
    rewrite: content.rewrite ?? null,
    seconds: content.seconds ?? 0,
  };
}

function toContent({ work, task }) {
  const { ranking, ...rest } = work;
  return { ...rest, groups: ranking.groups, seconds: desk.current?.task === task ? desk.seconds() : work.seconds };
}

function toBody({ work, task }, seconds) {
  const { ranking, strength, all_bad, flags, reasons, note, spans, rewrite } = work;
  const marks = task.criteria.length && work.marks.some((each) => Object.keys(each).length) ? work.marks : [];
  return { ranks: ranking.ranks(), strength: strength ?? "", all_bad, marks, flags, reasons, note, spans, rewrite: rewrite?.text ?? "", seconds };
}

/** What is still to be done before a judgement can be sent, in words, or null. */
function lacking({ work, task }) {
  const { ranking } = work;
  if (!ranking.complete) {
    if (task.completions.length === 2 && !ranking.best) return "Which is better?";
    if (ranking.best) return "Which is the best?";
    const left = ranking.left.map((slot) => slot + 1);
    return ranking.groups.length ? `Still to place: ${left.join(", ")}` : "Type the numbers, best first.";
  }
  const some = work.marks.some((each) => Object.keys(each).length);
  const all = task.criteria.every(({ name }) => work.marks.every((each) => each[name] !== undefined));
  return some && !all ? "Some marks are missing." : null;
}

function words(ranking) {
  return ranking.groups.map((group) => group.map((slot) => slot + 1).join(" = ")).join(" > ");
}

function summary(task, content) {
  const work = toWork(task, content);
  const lines = [`Order: ${words(work.ranking) || "none"}${work.strength ? ` (${work.strength})` : ""}`];
  if (work.flags.length || work.all_bad) lines.push(`Problems: ${[...work.flags, ...(work.all_bad ? ["all bad"] : [])].join(", ")}`);
  if (work.reasons.length) lines.push(`Why: ${work.reasons.join(", ")}`);
  if (work.note) lines.push(`Note: ${work.note}`);
  for (const span of work.spans) lines.push(`Marked: “${quoted(task.completions[span.slot]?.text ?? "", span)}” ${span.tag}`);
  if (work.rewrite) lines.push(`Own answer: ${work.rewrite.text}`);
  return lines.join("\n");
}

function different(one, other) {
  const plain = ({ seconds, ...content }) => JSON.stringify(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1)));
  return plain(one ?? {}) !== plain(other ?? {});
}

const desk = new Desk();
part("submit").addEventListener("click", () => desk.submit());
part("pass").addEventListener("click", () => desk.decline("cannot-judge"));
part("skip").addEventListener("click", () => desk.decline("skip"));
part("undo").addEventListener("click", () => desk.undo());
root.querySelectorAll("[data-look]").forEach((button) => button.addEventListener("click", () => desk.toggle(button.dataset.look)));
part("base").querySelector("select").addEventListener("change", () => desk.applyLook());
draggable(root, {
  allowed: () => Boolean(desk.current) && root.querySelector(".strip"),
  drop: (slot, place, into) => { desk.current.work.ranking.move(slot, place, into); desk.changed(); },
});
keyboard(desk, root);
document.addEventListener("visibilitychange", () => desk.visibility());
window.addEventListener("pagehide", () => desk.current?.draft.flush());
window.addEventListener("beforeunload", (event) => { if (desk.outbox.memory?.length || desk.current?.draft.kept === false) event.preventDefault(); });
channel?.addEventListener("message", ({ data }) => {
  if (data.submitted === undefined) return;
  desk.held = desk.held.filter((task) => task.id !== data.submitted);
  if (data.submitted !== desk.current?.task.id) return;
  toast("You judged this task in another window.");
  desk.current.draft.close();
  desk.advance();
});
new ResizeObserver(() => document.documentElement.style.setProperty("--dock", `${part("dock").offsetHeight}px`)).observe(part("dock"));
setInterval(() => desk.renew(), 5000);
desk.start();
