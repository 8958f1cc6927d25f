// The scoreboard: buttons that choose among the claims, and the claim that the address names, unfolded.
addEventListener("DOMContentLoaded", () => {
  const rows = [...document.querySelectorAll(".bk-claim")], filters = document.querySelector(".bk-filters")
  const any = { paper: "", verdict: "", mark: "" }, wanted = {}

  const choose = (choice) => {
    const asked = Object.entries(Object.assign(wanted, choice))
    for (const row of rows) row.hidden = asked.some(([by, value]) => value && row.dataset[by] !== value)
    for (const [by, value] of asked)
      for (const button of filters.querySelectorAll(`button[data-${by}]`))
        button.ariaPressed = button.dataset[by] === value
    const shown = rows.filter((row) => !row.hidden).length
    filters.querySelector("output").value = `${shown} of ${rows.length} claims`
  }

  const unfold = () => {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)))
    if (!row?.matches(".bk-claim")) return
    if (row.hidden) choose(any)
    row.querySelector("details").open = true
    row.scrollIntoView()
  }

  if (filters) {
    filters.hidden = false
    choose(any)
    for (const button of filters.querySelectorAll("button"))
      button.addEventListener("click", () => choose({ ...button.dataset }))
    for (const bar of document.querySelectorAll(".bk-bars a"))
      bar.addEventListener("click", () => choose({ ...any, ...bar.dataset }))
    let folded = [] // paper unfolds nothing: all of it is printed
    addEventListener("beforeprint", () => {
      folded = [...document.querySelectorAll("details:not([open])")]
      for (const each of folded) each.open = true
    })
    addEventListener("afterprint", () => folded.forEach((each) => (each.open = false)))
  }
  addEventListener("hashchange", unfold)
  unfold()
})
