"""The catalogue's search in SQL: writing what is searched, and asking."""
