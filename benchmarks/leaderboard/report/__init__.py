"""Tables, curves and intervals of a results folder: `data` counts, `markdown`, `plots` and the page show."""
