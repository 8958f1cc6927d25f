// What scrolls sideways can be reached, and scrolled, by the keyboard: the theme sees to code, this to formulas.
function reachable() {
  for (const formula of document.querySelectorAll("mjx-container[display]"))
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0
}
addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(reachable))
addEventListener("toggle", reachable, true)

// A link to something in a folded section unfolds it.
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)))
  if (!target) return
  const own = target.querySelector?.(":scope > details.bk-section")
  if (own) own.open = true
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true
  target.scrollIntoView()
}
addEventListener("hashchange", unfold)
addEventListener("load", unfold)
