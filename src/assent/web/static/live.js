// Parts of a page that renew themselves: what was unfolded stays unfolded, and nothing is fetched while nobody looks.

let unfolded = [];

document.addEventListener("htmx:beforeRequest", (event) => { if (document.hidden) event.preventDefault(); });
document.addEventListener("htmx:beforeSwap", (event) => {
  unfolded = [...event.detail.target.querySelectorAll("details")].map((each) => each.open);
});
document.addEventListener("htmx:load", (event) => {
  [...event.detail.elt.querySelectorAll("details")].forEach((each, place) => { if (unfolded[place]) each.open = true; });
  unfolded = [];
});
