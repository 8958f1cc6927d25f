// What scrolls sideways can be reached, and scrolled, by the keyboard: the theme sees to code, this to formulas.
addEventListener("load", () =>
  Promise.resolve(window.MathJax?.startup?.promise).then(() => {
    for (const formula of document.querySelectorAll("mjx-container[display]"))
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0
  }),
)
