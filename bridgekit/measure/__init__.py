"""What is measured: samples, bounds, estimators of gradients, and what statistics make of trials."""
