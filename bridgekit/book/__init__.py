"""Two sides of a kernel: what a page imports (runs, plots, diagrams), what runs pages (pages, make, site)."""
