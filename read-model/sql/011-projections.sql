-- Views that stand as they were, since their projection's SQL failed on what the mirrors hold, or gave a key twice. `key` is the one at
-- fault, where that is known. Mirrors and other views go on; a start of the read model tries to make such a view again.
CREATE TABLE projection_faults (
  projection name PRIMARY KEY,
  code text NOT NULL,
  cause text NOT NULL,
  key text,
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What the views of this version were made by: the files as they were, and what was derived of them.
CREATE TABLE model_projections (
  name name PRIMARY KEY,
  file text NOT NULL,
  source text NOT NULL,
  definition jsonb NOT NULL
);
