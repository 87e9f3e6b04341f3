"""A front end without a page: it watches where an alias points, and lets an endpoint follow."""
