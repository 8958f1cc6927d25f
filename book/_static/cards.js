// A card wherever a page names an equation, a figure or a table of a paper: what the index says of it. The links lead
// there without this script, too. Of the links of a section, or of a claim's row, one is a stop on the way through the
// page by Tab; the left and right arrows go to the others in sight, the arrow down goes into the card, and Escape
// closes it.
(() => {
  const store = new URL("cards-data.js", document.currentScript.src)
  const script = (src) =>
    new Promise((done) => document.head.append(Object.assign(document.createElement("script"), { src, onload: done })))
  const links = () => [...document.querySelectorAll("a.bk-ref")]
  let cards, card, owner, timer, touched

  async function open(link) {
    clearTimeout(timer)
    if (owner === link) return
    close()
    owner = link
    await (cards ??= script(store))
    const html = window.bkCards[link.hash.slice(1)]
    if (owner !== link || !html) return
    card = document.createElement("div")
    card.className = "bk-card"
    card.tabIndex = -1
    card.setAttribute("role", "dialog")
    card.setAttribute("aria-label", link.textContent)
    card.innerHTML = '<button type="button" class="bk-close" aria-label="Close">×</button>' + html
    card.firstChild.addEventListener("click", () => {
      owner?.focus({ preventScroll: true })
      close()
    })
    card.addEventListener("pointerenter", () => clearTimeout(timer))
    card.addEventListener("pointerleave", later)
    card.addEventListener("focusout", later)
    document.body.append(card)
    link.setAttribute("aria-expanded", "true")
    place()
    await window.MathJax?.startup?.promise
    if (owner === link) await window.MathJax?.typesetPromise?.([card])
    if (owner === link) place()
  }

  // Below the link or above it; on a phone the style sheet puts it at the lower edge.
  function place() {
    if (!card || innerWidth <= 600) return
    const at = owner.getBoundingClientRect(), own = card.getBoundingClientRect()
    const below = at.bottom + 6 + own.height <= innerHeight || at.top < innerHeight / 2
    card.style.left = `${Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`
    card.style.top = `${Math.max(8, below ? at.bottom + 6 : at.top - own.height - 6)}px`
  }

  function close() {
    clearTimeout(timer)
    owner?.setAttribute("aria-expanded", "false")
    card?.remove()
    owner = card = undefined
  }

  // Who leaves the link or the card may be on the way from the one to the other.
  function later() {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const here = document.activeElement
      if (here !== owner && !card?.contains(here)) close()
    }, 250)
  }

  function wire(link) {
    link.setAttribute("aria-haspopup", "dialog")
    link.setAttribute("aria-expanded", "false")
    link.addEventListener("pointerenter", (event) => {
      clearTimeout(timer)
      if (event.pointerType === "mouse") timer = setTimeout(open, 150, link)
    })
    link.addEventListener("pointerleave", later)
    link.addEventListener("pointerdown", (event) => (touched = event.pointerType !== "mouse"))
    link.addEventListener("focus", () => open(link))
    link.addEventListener("blur", later)
    // Under a finger the first thing is the card, and the way to the index is in it.
    link.addEventListener("click", (event) => {
      if (!touched) return
      event.preventDefault()
      open(link)
    })
  }

  function keys(event) {
    const inside = card?.contains(document.activeElement), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (event.key === "Escape" && owner) {
      const back = owner
      if (inside) back.focus()
      close()
    } else if (step && event.target.matches("a.bk-ref") && !inside) {
      event.preventDefault()
      const all = links().filter((link) => link.checkVisibility())
      all[all.indexOf(event.target) + step]?.focus()
    } else if (event.key === "ArrowDown" && card && event.target === owner) {
      event.preventDefault()
      card.focus()
    }
  }

  function start() {
    const sections = new Set()
    for (const link of links()) {
      const section = link.closest(".bk-claim details, .bk-claim, section")
      if (sections.has(section)) link.tabIndex = -1
      sections.add(section)
      wire(link)
    }
    addEventListener("keydown", keys)
    addEventListener("scroll", place, { passive: true })
    addEventListener("pointerdown", (event) => {
      if (owner && !owner.contains(event.target) && !card?.contains(event.target)) close()
    })
    // Found pages are quoted only where one page may read another, which a browser forbids on a disk.
    if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false
    // The search box: an item of the papers comes before the pages that name it; of its names in the index of terms
    // only the very one counts.
    if (window.Scorer)
      Scorer.score = ([page, , anchor, , score]) => {
        if (page !== "equations" || !anchor) return score
        return anchor.startsWith("#index") ? (score === 100 ? 300 : -1) : score + 100
      }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start)
  else start()
})()
