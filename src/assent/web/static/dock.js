// The foot of the judging page: the scale for two completions, or the order for more, and what sends the judgement.

import { h, key } from "./dom.js";

/** For two completions. `choose(winner | null, strong)`. */
export class Scale {
  constructor(task, choose) {
    const many = task.strengths;
    const choices = many
      ? [[0, true, "1 much better", "⇧1"], [0, false, "1 slightly", "1"], [null, false, "Alike", "0"], [1, false, "2 slightly", "2"], [1, true, "2 much better", "⇧2"]]
      : [[0, false, "1 is better", "1"], [null, false, "Alike", "0"], [1, false, "2 is better", "2"]];
    this.buttons = choices.map(([winner, strong, words, name]) => Object.assign(
      h("button", { type: "button", class: "button", "data-choice": true, "aria-pressed": "false", onclick: () => choose(winner, strong) }, h("span", {}, words), key(name)),
      { winner, strong }));
    this.node = h("div", { class: `scale${many ? "" : " three"}`, role: "group", "aria-label": "Which answer is better?" }, this.buttons);
  }

  paint({ ranking, strength }) {
    const winner = !ranking.complete ? undefined : ranking.groups.length === 1 ? null : ranking.groups[0][0];
    for (const button of this.buttons) {
      const pressed = winner !== undefined && button.winner === winner && (winner === null || button.strong === (strength === "strong"));
      button.setAttribute("aria-pressed", String(pressed));
    }
  }
}

/** For K completions: those not yet placed, the order so far (which takes dragged ones), ties, and one step back. */
export class Order {
  constructor(task, { place, join, back, move, remove }) {
    Object.assign(this, { place, move, remove, best: task.label === "best-of-k" });
    this.strip = h("ol", { class: "strip", "aria-label": "Your order, best first" });
    this.tray = h("div", { class: "tray", role: "group", "aria-label": "Not yet placed" });
    this.tie = h("button", { type: "button", class: "button small", "data-choice": true, "aria-pressed": "false", "aria-label": "Alike: the next one joins the last", onclick: join }, h("span", {}, "="), h("span", { class: "only-wide" }, " Alike"));
    this.undo = h("button", { type: "button", class: "button small", onclick: back, "aria-label": "Take the last one back" }, h("span", {}, "⌫"), h("span", { class: "only-wide" }, " Take back"));
    this.node = h("div", { class: "order" }, this.best ? [this.tray] : [this.tray, this.strip, this.tie, this.undo]);
  }

  paint({ ranking }) {
    const held = document.activeElement?.closest?.(".order") ? document.activeElement.dataset.slot : null;
    const rest = this.best ? [...Array(ranking.count).keys()] : ranking.left;
    this.tray.replaceChildren(...rest.map((slot) => this.chip(slot, this.best && ranking.placed(slot))));
    this.tie.setAttribute("aria-pressed", String(ranking.joining));
    this.tie.setAttribute("aria-disabled", String(!ranking.groups.length || !ranking.left.length));
    this.undo.setAttribute("aria-disabled", String(!ranking.groups.length));
    const groups = ranking.groups.map((group, index) => {
      const parts = group.flatMap((slot, at) => (at ? [h("span", { "aria-label": "alike with" }, "="), this.chip(slot, true)] : [this.chip(slot, true)]));
      return h("li", { "data-place": index }, parts);
    });
    const open = ranking.complete ? [] : [h("li", { "data-place": groups.length }, h("span", { class: "open", "aria-hidden": "true" }, ranking.joining ? "=" : ""))];
    this.strip.replaceChildren(...groups, ...open);
    if (held !== null && held !== undefined) this.node.querySelector(`[data-slot="${held}"]`)?.focus();
  }

  chip(slot, placed) {
    const label = this.best ? `Answer ${slot + 1} is the best` : placed ? `Take answer ${slot + 1} out of the order` : `Place answer ${slot + 1} next`;
    const act = () => (placed && !this.best ? this.remove(slot) : this.place(slot));
    return h("button", { type: "button", class: "slot", "data-slot": slot, "data-choice": true, "aria-label": label, "aria-pressed": String(placed), onclick: act }, String(slot + 1));
  }
}

/** Numbers can be taken by pointer and dropped into the order: between two groups, or on one to be alike with it. */
export function draggable(root, { allowed, drop }) {
  let held = null;
  root.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest(".slot, .answer-number");
    if (!handle || event.button !== 0 || !allowed()) return;
    held = { slot: Number(handle.dataset.slot), x: event.clientX, y: event.clientY, handle };
  });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    if (!held.ghost) {
      if (Math.hypot(event.clientX - held.x, event.clientY - held.y) < 8) return;
      held.ghost = document.body.appendChild(h("div", { class: "ghost" }, String(held.slot + 1)));
    }
    held.ghost.style.left = `${event.clientX}px`;
    held.ghost.style.top = `${event.clientY}px`;
    root.querySelector(".strip")?.classList.toggle("over", Boolean(target(event, root)));
    event.preventDefault();
  }, { passive: false });
  const end = (event) => {
    if (!held) return;
    const { ghost, slot, handle } = held;
    held = null;
    if (!ghost) return;
    ghost.remove();
    root.querySelector(".strip")?.classList.remove("over");
    const swallow = (click) => { click.stopPropagation(); click.preventDefault(); };
    handle.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => handle.removeEventListener("click", swallow, { capture: true }), 50);
    const found = event.type === "pointerup" ? target(event, root) : null;
    if (found) drop(slot, found.place, found.into);
  };
  window.addEventListener("pointerup", end);
  window.addEventListener("pointercancel", end);
}

/** Where a drop would go: {place, into}, or null beside the strip. */
function target(event, root) {
  const strip = root.querySelector(".strip");
  if (!strip) return null;
  const box = strip.getBoundingClientRect();
  if (event.clientY < box.top - 24 || event.clientY > box.bottom + 24 || event.clientX < box.left - 24 || event.clientX > box.right + 24) return null;
  const groups = [...strip.children].filter((item) => item.querySelector(".slot"));
  for (const [place, group] of groups.entries()) {
    const { left, width } = group.getBoundingClientRect();
    const share = (event.clientX - left) / width;
    if (share < 0.25) return { place, into: false };
    if (share < 0.75) return { place, into: true };
  }
  return { place: groups.length, into: false };
}
