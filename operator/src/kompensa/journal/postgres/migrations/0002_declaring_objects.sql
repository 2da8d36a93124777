-- The Kubernetes object that declared a row, null for one put by hand: only the former is withdrawn when no such object
-- exists any more.
ALTER TABLE kompensa.participants ADD COLUMN object_uid uuid;
ALTER TABLE kompensa.definitions ADD COLUMN object_uid uuid;
