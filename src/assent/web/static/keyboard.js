// What keys do on the judging page. They rest while a person types, and can be switched off for good.

import { store } from "./exchange.js";

/** `desk` is the page; `root` its element. */
export function keyboard(desk, root) {
  const help = document.getElementById("keys");
  const rest = help.querySelector("[data-part=off]");
  rest.checked = Boolean(store.get("keys-off"));
  rest.addEventListener("change", () => store.set("keys-off", rest.checked));

  const letters = {
    b: () => { desk.current.work.all_bad = !desk.current.work.all_bad; desk.changed(); },
    x: () => desk.decline("cannot-judge"),
    s: () => desk.decline("skip"),
    u: () => desk.undo(),
    m: () => desk.markNext(),
    n: () => root.querySelector("#note").focus(),
    h: () => desk.highlight(),
    r: () => desk.rewrite(),
    d: () => desk.toggle("differences"),
    p: () => desk.toggle("plain"),
    v: () => desk.toggle("stacked"),
    f: () => root.querySelector("[data-list=flags]")?.focus(),
    w: () => root.querySelector("[data-list=reasons]")?.focus(),
    g: () => document.getElementById("guidelines")?.showModal(),
    c: () => {
      const turns = [...root.querySelectorAll(".turn, .earlier")];
      const closed = turns.some((turn) => !turn.open);
      for (const turn of turns) turn.open = closed || turn.matches(".last");
    },
    "=": () => desk.join(),
  };
  const without_task = new Set(["u", "g"]);

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    const dialog = document.querySelector("dialog[open]");
    const typing = event.target.matches("textarea, select, input:not([type=radio], [type=checkbox]), [contenteditable]");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && desk.current && !dialog) { event.preventDefault(); return desk.submit(); }
    if (event.ctrlKey || event.metaKey || dialog) return;
    if (event.key === "Escape" && (typing || event.target.matches("input"))) return event.target.blur();
    if (typing || (rest.checked && event.key !== "?")) return;
    if (event.key === "?") { event.preventDefault(); return help.showModal(); }
    if (event.repeat && event.key !== "Backspace") return;  // one that is held down too long acts once
    if (act(event)) event.preventDefault();
  });

  function act(event) {
    if ((desk.looking || desk.current?.sending) && meant(event)) { desk.early(); return true; }
    if (event.key === "Enter") return enter(event);
    if (!desk.current) return without_task.has(event.key.toLowerCase()) && run(event.key.toLowerCase());
    if (event.key === "Backspace") return desk.back() ?? true;
    if (event.key === "=") return run("=");
    const digit = digitOf(event);
    if (digit !== null) return event.target.matches(".dots input") ? mark(event.target, digit) : (desk.digit(digit, event.shiftKey), true);
    return !event.shiftKey && run(event.key.toLowerCase());
  }

  /** Whether this key would judge, or put the task away. */
  function meant(event) {
    if (event.key === "Enter" && event.target.closest("button, a, summary")) return false;
    return digitOf(event) !== null || ["enter", "backspace", "=", "b", "s", "x"].includes(event.key.toLowerCase());
  }

  function run(name) {
    if (!letters[name]) return false;
    letters[name]();
    return true;
  }

  /** Enter sends, unless it stands on a button that does something else and has not been pressed. */
  function enter(event) {
    const control = event.target.closest("button, a, summary");
    const pressed = control?.matches("[data-choice][aria-pressed=true]");
    if (!desk.current || (control && !pressed)) return false;
    desk.submit();
    return true;
  }

  function mark(radio, digit) {
    const group = radio.closest(".rating");
    const chosen = group.querySelectorAll("input")[digit - 1];
    if (!chosen) return true;
    chosen.checked = true;
    chosen.dispatchEvent(new Event("change"));
    const ratings = [...root.querySelectorAll(".rating")];
    const next = ratings[ratings.indexOf(group) + 1];
    if (next) (next.querySelector(":checked") ?? next.querySelector("input")).focus();
    else radio.blur();
    return true;
  }
}

/** The digit of a key by its place, so that Shift and other layouts do not change it; null for other keys. */
function digitOf(event) {
  const found = /^(?:Digit|Numpad)(\d)$/.exec(event.code) ?? /^(\d)$/.exec(event.key);
  return found ? Number(found[1]) : null;
}
