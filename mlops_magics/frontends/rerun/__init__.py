"""A front end without a page: it executes the cells of a recipe in a process of their own."""
