// What every page has: the switch of themes, menus that close, dialogs opened by a button, toasts.

const WORDS = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

function theme() {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  const show = () => { button.textContent = WORDS[document.documentElement.dataset.theme ?? "auto"]; };
  button.addEventListener("click", () => {
    const order = ["auto", "light", "dark"];
    const next = order[(order.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % 3];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try { localStorage.setItem("assent:theme", next); } catch { /* then for this page only */ }
    show();
  });
  show();
}

function menus() {
  const open = () => document.querySelectorAll("details.menu[open]");
  document.addEventListener("click", (event) => open().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; }));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    open().forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  });
}

function dialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens)?.showModal();
    const closer = event.target.closest("[data-closes]");
    if (closer) closer.closest("dialog")?.close();
    if (event.target instanceof HTMLDialogElement && event.target.open) {  // its backdrop
      const box = event.target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside) event.target.close();
    }
  });
}

/** Forms that change something are sent once, however often the button is pressed. */
function forms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent && !form.hasAttribute("hx-post")) return event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; }));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const field = document.getElementById(button.dataset.copies);
    field.select?.();
    navigator.clipboard?.writeText(field.value ?? field.textContent).then(() => toast("Copied"));
  });
}

/** A short message at the foot of the page, which is also read aloud. `action` is {label, run}. */
export function toast(message, { kind = "plain", action = null, seconds = 5 } = {}) {
  const place = document.getElementById("toasts");
  while (place.children.length > 2) place.firstChild.remove();
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  box.append(Object.assign(document.createElement("span"), { textContent: message }));
  if (action) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: action.label });
    button.addEventListener("click", () => { box.remove(); action.run(); });
    box.append(button);
  }
  place.append(box);
  setTimeout(() => box.remove(), seconds * 1000);
  return box;
}

theme();
menus();
dialogs();
forms();
