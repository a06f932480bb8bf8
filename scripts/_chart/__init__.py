"""What follows from the values of the chart: their schema, and the page that lists them."""
