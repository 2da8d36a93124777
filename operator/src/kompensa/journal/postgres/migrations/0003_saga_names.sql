-- A saga's name, if it has one in addition to its id: that of its object, or the one in the request. Looking for it
-- must not depend on how many sagas there are, and those without a name cost the index nothing.
ALTER TABLE kompensa.sagas ADD COLUMN name text;
-- The json functions fail on a \u0000 anywhere in the text: such a saga is found by its id alone.
UPDATE kompensa.sagas SET name = state -> 'saga' ->> 'name'
WHERE CASE WHEN position('\u0000' IN state::text) = 0 THEN state -> 'saga' ->> 'name' <> id::text END;
CREATE INDEX sagas_named ON kompensa.sagas (name, namespace) WHERE name IS NOT NULL;
