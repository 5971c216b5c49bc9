(() => {
  const root = document.documentElement, button = document.getElementById("scheme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("scheme"); } catch { return null; } };
  const store = scheme => { try { localStorage.setItem("scheme", scheme); } catch { /* a file may have no storage */ } };
  const shown = () => root.dataset.scheme || (system.matches ? "dark" : "light");
  const other = () => shown() === "dark" ? "light" : "dark";
  const label = () => { button.textContent = other() === "dark" ? "Dark" : "Light"; };
  const chosen = new URLSearchParams(location.search).get("scheme") || stored();
  if (chosen === "dark" || chosen === "light") root.dataset.scheme = chosen;
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.scheme = other(); store(root.dataset.scheme); label(); });
  system.addEventListener("change", label);
  label();
  // Paper cannot be unfolded.
  const folded = [];
  addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach(d => { d.open = true; folded.push(d); }));
  addEventListener("afterprint", () => folded.splice(0).forEach(d => { d.open = false; }));
})();
