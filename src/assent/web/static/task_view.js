// One task on the page: the conversation, the completions side by side, and what else is asked about them.
// It shows a person's work and reports every change; it knows nothing of the server.

import { h, key, prose } from "./dom.js";
import { ordinal } from "./ranking.js";
import { highlight, quoted } from "./spans.js";

const MARKS = 5;
const NEAR = 2;  // turns before the last that are seen at once; a longer conversation would push the answers off the screen
const ROLES = { user: "Person", assistant: "Assistant", system: "Instructions" };

export class TaskView {
  /** `act` holds what the page does: place(slot), change(), compare(slot). */
  constructor(task, work, act, view) {
    Object.assign(this, { task, work, act, view });
    this.answers = task.completions.map((completion) => this.answer(completion));
    this.asked = h("section", { class: "asked", "aria-labelledby": "conversation" }, h("h2", { class: "unseen", id: "conversation" }, "Conversation"), this.turns());
    this.grid = h("section", { class: `answers k-${task.completions.length}`, "aria-label": "Answers" }, this.answers.map((answer) => answer.box));
    this.further = this.furtherBox();
    this.paint();
    if (this.view.plain) this.showBodies();
  }

  get nodes() { return [this.asked, this.grid, this.further]; }

  turns() {
    const turns = this.task.conversation;
    const shown = turns.map((turn, index) => {
      const last = index === turns.length - 1;
      const start = turn.content.slice(0, 140).replace(/\s+/g, " ");
      return h("details", { class: `turn${last ? " last" : ""}`, open: last },
        h("summary", {}, h("span", { class: "turn-role" }, ROLES[turn.role] ?? turn.role), h("span", { class: "turn-start", dir: "auto" }, start)),
        prose(turn.html, { class: "turn-body" }));
    });
    const far = shown.length - 1 - NEAR;
    if (far < 2) return shown;
    return [h("details", { class: "earlier" }, h("summary", {}, `${far} earlier turns `, key("C")), shown.slice(0, far)), ...shown.slice(far)];
  }

  answer({ slot, html }) {
    const twin = this.task.completions.find((other) => other.html === html).slot;
    const number = h("button", { type: "button", class: "answer-number", "data-slot": slot, "data-choice": true, onclick: () => this.act.place(slot) }, String(slot + 1));
    const place = h("span", { class: "answer-place badge accent", hidden: true });
    const body = prose(html, { class: "answer-body", "data-slot": slot });
    const spans = h("ul", { class: "spans", "aria-label": `Marked words in answer ${slot + 1}` });
    const foot = h("div", { class: "answer-foot" }, this.task.criteria.map((criterion) => this.rating(slot, criterion)), spans);
    const box = h("article", { class: "answer", "aria-labelledby": `answer-${slot}`, "data-slot": slot },
      h("header", { class: "answer-head" }, number, h("h2", { id: `answer-${slot}` }, `Answer ${slot + 1}`),
        twin < slot && h("span", { class: "small" }, `the same text as answer ${twin + 1}`), place), body, foot);
    return { slot, box, number, place, body, spans, foot };
  }

  rating(slot, { name }) {
    const group = `mark-${slot}-${name}`;
    const dots = Array.from({ length: MARKS }, (_, index) => {
      const label = `${name}, answer ${slot + 1}: ${index + 1} of ${MARKS}`;
      const radio = h("input", { type: "radio", name: group, value: String(index), "aria-label": label, onchange: () => this.mark(slot, name, index / (MARKS - 1)) });
      return h("label", {}, radio, String(index + 1));
    });
    return h("fieldset", { class: "rating", "data-slot": slot, "data-criterion": name },
      h("legend", { class: "unseen" }, `${name}, answer ${slot + 1}`), h("span", { class: "rating-name", dir: "auto", "aria-hidden": "true" }, name), h("span", { class: "dots" }, dots));
  }

  mark(slot, name, value) {
    this.work.marks[slot] = { ...this.work.marks[slot], [name]: value };
    this.act.change();
  }

  furtherBox() {
    const { task, work, act } = this;
    const toggle = (list, word, alarm) => h("button", {
      type: "button", class: `chip${alarm ? " alarm" : ""}`, "data-choice": true, "aria-pressed": "false", "data-list": list, "data-word": word,
      onclick: () => { work[list] = work[list].includes(word) ? work[list].filter((other) => other !== word) : [...work[list], word]; act.change(); },
    }, word);
    this.allBad = h("button", { type: "button", class: "chip alarm", "data-choice": true, "aria-pressed": "false", onclick: () => { work.all_bad = !work.all_bad; act.change(); } }, "All are bad ", key("B"));
    this.note = h("textarea", { id: "note", rows: 1, dir: "auto", placeholder: "Anything worth knowing (N)", oninput: () => { work.note = this.note.value; act.change(); } });
    this.rewritten = h("span", { class: "small", dir: "auto" });
    const row = (title, ...inside) => h("div", { class: "further-row" }, h("h3", {}, title), h("div", { class: "chips" }, inside));
    return h("section", { class: "further", "aria-label": "More about these answers" },
      task.reasons.length ? row("Why", task.reasons.map((word) => toggle("reasons", word))) : null,
      row("Problems", task.flags.map((word) => toggle("flags", word, true)), this.allBad),
      h("div", { class: "further-row" }, h("label", { for: "note" }, "Note"), this.note),
      row("Words", h("button", { type: "button", class: "button quiet small", onpointerdown: (event) => event.preventDefault(), onclick: () => act.highlight() }, "Mark the selected words ", key("H")),
        h("button", { type: "button", class: "button quiet small", onclick: () => act.rewrite() }, "Write a better answer ", key("R")), this.rewritten));
  }

  /** Show the state of the work; cheap enough for every change. */
  paint() {
    const { work, ranking } = { work: this.work, ranking: this.work.ranking };
    for (const answer of this.answers) {
      const found = ranking.rankOf(answer.slot);
      const best = Boolean(found && found.rank === 1);
      answer.box.classList.toggle("best", best && (ranking.best || !(found.alike && ranking.groups[0].length === ranking.count)));
      answer.box.classList.toggle("placed", Boolean(found));
      answer.place.hidden = !found;
      if (found) answer.place.textContent = this.word(found);
      answer.number.setAttribute("aria-label", found ? `Answer ${answer.slot + 1}, ${this.word(found)}` : `Place answer ${answer.slot + 1}`);
      answer.number.setAttribute("aria-pressed", String(Boolean(found)));
      this.paintMarks(answer);
      this.paintSpans(answer);
      answer.foot.hidden = !this.task.criteria.length && !answer.spans.children.length;
    }
    for (const chip of this.further.querySelectorAll("[data-list]")) chip.setAttribute("aria-pressed", String(work[chip.dataset.list].includes(chip.dataset.word)));
    this.allBad.setAttribute("aria-pressed", String(work.all_bad));
    if (this.note.value !== work.note) this.note.value = work.note;
    this.rewritten.textContent = work.rewrite ? `Your own answer: ${work.rewrite.text.slice(0, 80)}${work.rewrite.text.length > 80 ? "…" : ""}` : "";
  }

  word(found) {
    const ranking = this.work.ranking;
    if (ranking.best) return "best";
    if (ranking.count > 2) return ordinal(found);
    if (found.alike) return "alike";
    if (found.rank > 1) return "worse";
    return this.work.strength === "strong" ? "much better" : this.work.strength === "slight" ? "slightly better" : "better";
  }

  paintMarks({ slot, foot }) {
    for (const rating of foot.querySelectorAll(".rating")) {
      const value = this.work.marks[slot]?.[rating.dataset.criterion];
      rating.querySelectorAll("input").forEach((radio, index) => { radio.checked = value !== undefined && Math.round(value * (MARKS - 1)) === index; });
    }
  }

  paintSpans({ slot, spans, body }) {
    const { work, act, task } = this;
    const own = work.spans.filter((span) => span.slot === slot);
    const state = JSON.stringify(own);
    if (spans.dataset.state !== state) {
      spans.dataset.state = state;
      spans.replaceChildren(...own.map((span) => {
        const words = quoted(task.completions[slot].text, span);
        const tag = h("select", { "aria-label": `What “${words.slice(0, 60)}” is`, onchange: () => { span.tag = tag.value; act.change(); } },
          ["", ...task.reasons, ...task.flags].map((word) => h("option", { value: word }, word || "what?")));
        tag.value = span.tag;
        const drop = h("button", { type: "button", class: "button quiet small", "aria-label": `Unmark “${words.slice(0, 60)}”`, onclick: () => { work.spans = work.spans.filter((other) => other !== span); act.change(); } }, "✕");
        return h("li", {}, h("q", { dir: "auto" }, words), tag, drop);
      }));
    }
    highlight(slot, body, own.map((span) => quoted(task.completions[slot].text, span)));
  }

  /** Show each completion rendered, as plain text, or with its differences. */
  showBodies(differences = null) {
    for (const { slot, body } of this.answers) {
      if (differences?.[slot]) body.innerHTML = differences[slot];
      else if (this.view.plain) body.replaceChildren(h("div", { class: "plain", dir: "auto" }, this.task.completions[slot].text));
      else body.innerHTML = this.task.completions[slot].html;
    }
    this.answers.forEach((answer) => this.paintSpans(answer));
  }
}
