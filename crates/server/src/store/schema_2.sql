-- A token that was taken back stays, so that taking it back again is not an error and the list tells of it.
ALTER TABLE tokens ADD COLUMN revoked_at INTEGER;
