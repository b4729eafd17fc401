-- When a request of the tenant last passed. `last_active_at` is of refused ones too.
ALTER TABLE tenants ADD COLUMN last_passed_at INTEGER;
UPDATE tenants SET last_passed_at = last_active_at;

-- Users whose sessions or keys changed, by the place in the feed's sequence at which every server is told. Of the
-- credentials themselves there is nothing here.
CREATE TABLE credential_changes (
    tenant_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX credential_changes_by_seq ON credential_changes (seq);

-- For taking out what is older than it has to be kept.
CREATE INDEX usage_events_by_age ON usage_events (at);
