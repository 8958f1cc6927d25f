// What scrolls sideways can be reached, and scrolled, by the keyboard: the theme sees to code, this to formulas.
function reachable() {
  for (const formula of document.querySelectorAll("mjx-container[display]"))
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0
}
addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(reachable))
addEventListener("toggle", reachable, true)
addEventListener("resize", reachable)

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

// Each picture of a chapter can fill a projector's screen.
addEventListener("load", () => {
  if (!document.fullscreenEnabled) return
  for (const figure of document.querySelectorAll("main figure.bk-figure")) {
    const button = document.createElement("button")
    button.type = "button"
    button.className = "bk-projector"
    button.textContent = "fill the screen"
    button.addEventListener("click", () => figure.requestFullscreen())
    figure.append(button)
  }
})

// A chapter's front on two pages of paper: its address ends in #handout.
function handout() {
  const front = location.hash === "#handout"
  document.documentElement.classList.toggle("bk-handout", front)
  document.querySelector(".bk-handout-note")?.remove()
  if (!front) return
  const note = document.createElement("p")
  note.className = "bk-handout-note"
  note.innerHTML = 'A hand-out: the front of this chapter, two pages to print. <a href="#">The whole chapter</a>'
  document.querySelector("main article")?.prepend(note)
}
addEventListener("hashchange", handout)
addEventListener("DOMContentLoaded", handout)
