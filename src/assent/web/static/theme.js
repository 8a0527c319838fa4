// Runs before the page is painted: the theme that this browser's user chose, or none (the system's then holds).
(() => {
  try {
    const chosen = localStorage.getItem("assent:theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* storage may be forbidden; the system's theme holds */ }
})();
