// Elements made in one line. Text is text; markup comes only from the server, which has sanitised it.

/** An element: `h("button", {class: "chip", onclick: f, "aria-pressed": "false"}, "Text", child)`. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element with the server's sanitised HTML of what a model or a person wrote. */
export function prose(markup, attributes = {}) {
  const element = h("div", { ...attributes, class: `prose ${attributes.class ?? ""}`.trim() });
  element.innerHTML = markup;
  return element;
}

export const key = (name) => h("kbd", { "aria-hidden": "true" }, name);
