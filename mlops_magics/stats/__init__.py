"""The column engine: what profile, prepare, features and drift know about a table comes from here."""
